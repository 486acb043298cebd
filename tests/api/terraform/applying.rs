//! What apply makes and destroy takes down, and what touches nothing.

use flow_domain::ports::TerraformEnd;
use serde_json::json;

use super::{Bench, Copies, TWO};

#[tokio::test]
async fn apply_makes_and_destroy_takes_down() {
    let mut bench = Bench::new(TWO);
    bench.job.variables.insert("secret".into(), "tell-nobody".into());
    let outputs = bench.apply().await.unwrap();
    assert_eq!(outputs, json!({"greeting": "hello one"}));
    assert_eq!((bench.objects(), bench.copies.objects()), (2, Some(2)));
    assert!(bench.watch.said("said"), "a provisioner's output is passed on");

    let percents = bench.watch.percents.lock().unwrap().clone();
    assert!(percents.is_sorted() && percents.last() == Some(&100), "{percents:?}");
    assert!(percents.iter().any(|percent| (11..95).contains(percent)), "{percents:?}");

    bench.destroy().await.unwrap();
    assert_eq!((bench.objects(), bench.copies.objects()), (0, Some(0)));
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn terraform_sees_an_environment_of_ours_and_no_secret_is_on_its_command_line() {
    let mut bench = Bench::new(TWO);
    bench.job.variables.insert("secret".into(), "tell-nobody".into());
    bench.apply().await.unwrap();
    let environment = bench.read("env.txt");
    let mut names: Vec<&str> =
        environment.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // What terraform and the shell add themselves.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_", "TF_REATTACH_PROVIDERS"].contains(name));
    let ours = [
        "CHECKPOINT_DISABLE",
        "HOME",
        "PATH",
        "TF_CLI_CONFIG_FILE",
        "TF_INPUT",
        "TF_IN_AUTOMATION",
        "TF_VAR_secret",
    ];
    assert_eq!(names, ours);
    assert!(bench.read("cmdline.txt").contains("apply -auto-approve -json"));
    assert!(!bench.read("cmdline.txt").contains("tell-nobody"));
    assert!(!bench.watch.said("tell-nobody"));
}

#[tokio::test]
async fn a_broken_configuration_touches_nothing() {
    let bench = Bench::new("resource \"terraform_data\" \"x\" {");
    match bench.apply().await {
        Err(TerraformEnd::Untouched(why)) => assert!(why.contains("Unclosed configuration block"), "{why}"),
        other => panic!("{other:?}"),
    }
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn a_failing_object_is_a_failure_that_destroy_takes_back() {
    let bench = Bench::new(
        "resource \"terraform_data\" \"x\" {\n provisioner \"local-exec\" { command = \"echo no luck; exit 3\" }\n}",
    );
    match bench.apply().await {
        Err(TerraformEnd::Failed(why)) => assert!(why.contains("local-exec provisioner error"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.copies.objects(), Some(1), "the state is copied after a failure too");
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
}

#[tokio::test]
async fn without_a_terraform_or_a_place_for_copies_nothing_is_touched() {
    let bench = Bench::with(TWO, "/nowhere".into(), Copies::default());
    match bench.apply().await {
        Err(TerraformEnd::Untouched(why)) => {
            assert!(why.starts_with("This machine has no terraform or tofu"), "{why}")
        }
        other => panic!("{other:?}"),
    }
    bench.destroy().await.unwrap();

    let copies = Copies { refused: true, ..Copies::default() };
    let bench = Bench::with(TWO, std::env::var("PATH").unwrap(), copies);
    match bench.apply().await {
        Err(TerraformEnd::Untouched(why)) => assert_eq!(why, "Set FLOW_STATE_KEY."),
        other => panic!("{other:?}"),
    }
    assert!(!bench.path("terraform.tfstate").exists() && !bench.path("first.runs").exists());
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn a_configuration_that_needs_init_gets_it() {
    let bench = Bench::new(
        "module \"inner\" { source = \"./inner\" }\noutput \"word\" { value = module.inner.word }",
    );
    std::fs::create_dir(bench.path("inner")).unwrap();
    let inner = "resource \"terraform_data\" \"x\" { input = \"inside\" }\noutput \"word\" { value = terraform_data.x.output }";
    std::fs::write(bench.path("inner/main.tf"), inner).unwrap();
    assert_eq!(bench.apply().await.unwrap(), json!({"word": "inside"}));
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn a_provider_that_cannot_be_had_touches_nothing() {
    let bench = Bench::new(
        "terraform {\n required_providers { nope = { source = \"registry.invalid/no/nope\" } }\n}\nresource \"nope_thing\" \"x\" {}",
    );
    let end = bench.apply().await;
    assert!(
        matches!(&end, Err(TerraformEnd::Untouched(why)) if why.contains("could not be set up")),
        "{end:?}"
    );
}
