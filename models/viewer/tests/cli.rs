//! The exit codes and outputs of the command `trace`.

use counterfoil_world::{Counterfoil, Scenario, Trace, World};
use std::path::Path;
use std::process::{Command, Output};

fn view(file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trace")).arg("view").arg(file).output().unwrap()
}

#[test]
fn a_trace_is_shown_or_refused_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one_step.toml");
    let scenario = r#"
        question = "Does one step show?"
        expect = "holds"
        clients = false
        inventory = { VCPU = 1 }
        request = [{ resources = { VCPU = 1 } }]
    "#;
    std::fs::write(&file, scenario).unwrap();
    let scenario = Scenario::load(&file).unwrap();
    let world: World<Counterfoil> = World::new(scenario.clone());
    let step = world.enabled(&world.initial()).pop().unwrap();
    let file = folder.path().join("one_step.itf.json");
    Trace::<Counterfoil>::new(scenario, "no_overcommit", vec![step]).save(&file).unwrap();

    let shown = view(&file);
    assert_eq!(shown.status.code(), Some(0));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.starts_with("✓ no_overcommit holds"), "{text}");
    assert!(!text.contains('\x1b'), "no colour where there is no terminal");
    assert!(shown.stderr.is_empty());

    let whole = std::fs::read_to_string(&file).unwrap();
    let edited = whole.replacen(r#""mbt::actionTaken":"init""#, r#""mbt::actionTaken":"x""#, 1);
    std::fs::write(&file, edited).unwrap();
    assert_eq!(view(&file).status.code(), Some(4), "it diverges");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let cut = view(&file);
    assert_eq!(cut.status.code(), Some(5));
    assert!(cut.stdout.is_empty());
    assert!(String::from_utf8(cut.stderr).unwrap().contains("is cut short"));
    for (damaged, reason) in [
        (whole.replacen(r#""version": 1"#, r#""version": 9"#, 1), "by a newer checker"),
        (whole.replacen(r##""#check""##, r#""check""#, 1), "is no trace of the checker"),
        ("[1, 2]".to_owned(), "is no trace of the checker"),
        (whole.replacen(r#""states": ["#, r#""states": [7,"#, 1), "cannot be understood"),
        (whole.replacen(r#""engine""#, r#""engines""#, 1), "cannot be understood"),
        ("{]".to_owned(), "is damaged"),
    ] {
        std::fs::write(&file, damaged).unwrap();
        let refused = view(&file);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(reason), "{reason}: {said}");
        assert_eq!(refused.status.code(), Some(5), "{said}");
        assert!(refused.stdout.is_empty());
    }
    let nothing = Command::new(env!("CARGO_BIN_EXE_trace")).arg("view").output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn the_text_is_coloured_and_spelt_as_it_is_asked_for() {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces");
    let file = traces.join("no_overcommit__without_node_judges_claims.itf.json");
    let run = |arguments: &[&str], no_color: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trace"));
        command.arg("view").arg(&file).args(arguments).env("NO_COLOR", no_color);
        let Output { stdout, stderr, status } = command.output().unwrap();
        (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code())
    };
    let (text, _, code) = run(&["--color", "always"], "");
    assert!(text.contains("\x1b[31m") && code == Some(0), "{text}");
    assert!(!run(&["--color", "auto"], "").0.contains('\x1b'));
    assert!(run(&["--ascii"], "1").0.is_ascii());
    let other = file.display().to_string();
    let (text, said, code) = run(&["--compare", &other], "");
    assert_eq!((text.as_str(), code), ("", Some(2)));
    assert!(said.contains("--compare needs a terminal"), "{said}");
}
