//! What `examples/colony.rs` shows is what happens.

#[path = "../../examples/colony.rs"]
#[allow(dead_code)]
mod colony;

use velocitydb::Database;

#[test]
fn the_example_does_its_workflow_and_its_cron() {
    let story = colony::colony(&Database::in_memory().unwrap()).unwrap();
    // Who does what is chance.
    let told: Vec<String> = story
        .iter()
        .map(|line| match line.split_once(" said: ") {
            Some((_, said)) => format!("said: {said}"),
            None => line.clone(),
        })
        .collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            r#"fetch: successful, gave [String("fetch")]"#,
            r#"said: fetch with []"#,
            r#"train: successful, gave [String("train")]"#,
            r#"said: train with [String("fetch")]"#,
            r#"test: successful, gave [String("test")]"#,
            r#"said: test with [String("fetch")]"#,
            r#"report: successful, gave [String("report")]"#,
            r#"said: report with [String("train"), String("test")]"#,
            "the workflow: successful",
            "one server has submitted 1",
            "another has submitted 0",
            "workflows that wait: 1",
        ]
    );
}
