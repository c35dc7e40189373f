//! Attributes: what is noted of a process, by key, as its input, its output, its errors or its
//! environment.

use crate::model::{AttributeKind, State};
use crate::row::record;

record! {
    /// A note.
    Attribute in "attributes" called "attribute" {
        /// Its id: made of the process, the key and the kind, so that there is one of each.
        id: String, "attributeid", "attribute_id";
        /// The process.
        process_id: String, "targetid", "target_id";
        /// The process's colony.
        colony: String, "targetcolonyname", "target_colony_name";
        /// The process's graph; empty: none.
        graph_id: String, "targetprocessgraphid", "processgraph_id";
        /// The process's state.
        state: State, "state", "state";
        /// What it is for.
        kind: AttributeKind, "attributetype", "attribute_type";
        /// Its key.
        key: String, "key", "key";
        /// Its value.
        value: String, "value", "value";
    }
}
