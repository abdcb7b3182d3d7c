//! Temporary.
#![allow(missing_docs)]
use counterfoil_check::{checker, convergence, explore, progress::Progress};
use counterfoil_world::{Counterfoil, Scenario, World};
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    for path in std::env::args().skip(1) {
        let s = Scenario::load(path.as_ref()).unwrap_or_else(|e| panic!("{e}"));
        println!("{} {}", s.name, s.bounds());
        let w: World<Counterfoil> = World::new(s);
        let t = std::time::Instant::now();
        let p = Progress::new("x", Some(t + std::time::Duration::from_secs(60)));
        let e = explore::explore(&w, 0, Default::default(), &p);
        println!("ours {} distinct {} depth {} {:?} viol {:?} {:.2?}", e.states, e.distinct, e.depth, e.stopped, e.violated, t.elapsed());
        if e.is_complete() {
            println!("{:?}", convergence::judge(&e.fair, &e.goals, 3));
            if std::env::var("SR").is_ok() { let t = std::time::Instant::now();
            println!("{:?} {:.2?}", checker::check(&w, true, None), t.elapsed());}
        }
        if let Some((p,s)) = e.violated.iter().next() {
            let path = e.path(&w, *s);
            let mut c = w.initial();
            for a in &path { c = w.apply(&c, a); println!("  {a:?}"); }
            println!("{p} {:?}", c.violated);
        }
    }
}
