//! The state and its copies.

use flow_domain::ports::TerraformEnd;

use super::{Bench, TWO, until};

#[tokio::test]
async fn the_state_is_copied_while_an_apply_still_runs() {
    let bench = Bench::waiting(TWO);
    let go = bench.path("go");
    let (end, ()) = tokio::join!(bench.apply(), async {
        until(|| bench.copies.objects() == Some(1)).await;
        assert!(!go.exists());
        std::fs::write(&go, "").unwrap();
    });
    end.unwrap();
}

#[tokio::test]
async fn an_emptied_state_is_restored_and_nothing_is_made_twice() {
    let bench = Bench::new(TWO);
    bench.apply().await.unwrap();
    for broken in [Some(""), Some("{\"version\":"), None] {
        match broken {
            Some(text) => std::fs::write(bench.path("terraform.tfstate"), text).unwrap(),
            None => std::fs::remove_file(bench.path("terraform.tfstate")).unwrap(),
        }
        bench.apply().await.unwrap();
        assert_eq!(bench.read("first.runs"), "x\n");
    }
    std::fs::write(bench.path("terraform.tfstate"), "").unwrap();
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
}

#[tokio::test]
async fn a_state_that_is_lost_with_its_copy_is_never_taken_for_nothing() {
    let bench = Bench::new(TWO);
    bench.apply().await.unwrap();
    bench.copies.kept.lock().unwrap().clear();
    std::fs::write(bench.path("terraform.tfstate"), "").unwrap();
    for end in [bench.apply().await.map(|_| ()), bench.destroy().await] {
        match end {
            Err(TerraformEnd::Failed(why)) => assert!(why.contains("state was lost"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.read("first.runs"), "x\n");
}
