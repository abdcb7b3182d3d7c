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
    let nothing = Command::new(env!("CARGO_BIN_EXE_trace")).arg("view").output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
}
