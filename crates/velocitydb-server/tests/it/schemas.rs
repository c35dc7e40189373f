//! Schemas of whole databases, loaded over HTTP.

use serde_json::json;

use crate::harness::{Reply, Served, served};

const SHOP: &str = "/v1/schemas/shop";
const YAML: &str = "\
name: shop
version: 1
collections:
  orders:
    fields:
      amount: {type: int}
";

fn put(served: &Served, path: &str, yaml: &str) -> Reply {
    served.ask("PUT", path, &[("content-type", "application/yaml")], yaml)
}

#[test]
fn a_schema_is_planned_loaded_and_shown() {
    let served = served();
    let plan = json!({"name": "shop", "from": null, "to": 1, "adopted": [],
        "steps": ["create orders"]});
    let dry = put(&served, "/v1/schemas/shop?dry_run=true", YAML);
    assert_eq!((dry.status.as_u16(), dry.json()), (200, plan.clone()));
    served.get(SHOP).problem(404, "unknown_schema");
    assert_eq!(put(&served, SHOP, YAML).json(), plan);
    let again = put(&served, SHOP, YAML).json();
    assert_eq!((&again["from"], &again["steps"]), (&json!(1), &json!([])));
    let shown = served.get(SHOP).json();
    assert_eq!(shown["version"], 1);
    assert_eq!(
        shown["collections"]["orders"]["definition"]["name"],
        "orders"
    );
    let listed = served.get("/v1/schemas").json();
    assert_eq!(listed["schemas"][0]["name"], "shop");
    assert_eq!(listed["schemas"][0]["loaded_at"], shown["loaded_at"]);

    let json = r#"{"name": "shop", "version": 2, "collections": {"orders": {"fields":
        {"amount": {"type": "decimal"}}}}}"#;
    let plan = served.put(SHOP, json).json();
    assert_eq!(
        plan["steps"][0],
        "alter orders: retype amount from int to decimal"
    );
    put(&served, SHOP, YAML).problem(409, "schema_version");
}

#[test]
fn what_is_wrong_with_a_schema_is_said() {
    let served = served();
    let wrong = YAML.replace("type: int", "typ: int");
    let problem = put(&served, SHOP, &wrong).problem(422, "invalid_schema");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.ends_with("there is no key `typ`; did you mean `type`?"),
        "{detail}"
    );
    assert_eq!(
        (&problem["line"], &problem["column"]),
        (&json!(6), &json!(16))
    );
    put(&served, "/v1/schemas/other", YAML).problem(422, "invalid_schema");
    put(&served, "/v1/schemas/shop?dry_run=yes", YAML).problem(400, "invalid_query");
    let text = served.ask("PUT", SHOP, &[("content-type", "text/plain")], YAML);
    text.problem(415, "unsupported_media_type");

    put(&served, SHOP, YAML);
    let documents = "/v1/collections/orders/documents/a";
    served.put(documents, r#"{"amount": 7}"#);
    let next = YAML.replace("version: 1", "version: 2");
    let next = next.replace("type: int", "type: int, maximum: 5") + "  returns:\n";
    let problem = put(&served, SHOP, &next).problem(422, "migration_refused");
    assert_eq!(
        problem["detail"],
        "alter orders: change the constraints of amount: document a: field \"amount\": maximum is 5, \
         got int 7; done before: create returns"
    );
    assert_eq!(problem["done"], json!(["create returns"]));
    assert_eq!(served.get(SHOP).json()["version"], 1);
}
