//! CREATE TABLE.

use sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use sqlparser::ast::{self, CreateTableOptions, OnCommit, SqlOption};
use velocitydb::{Definition, Field, is_temporary};

use super::column::Draft;
use super::constraint::Constraint;
use super::names::Names;
use super::{notice, refused, skipped};
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;
use crate::statement::Preparing;
use crate::temporary::AtEnd;

/// What may stand in WITH, and means nothing here.
const STORAGE: &[&str] = &[
    "fillfactor",
    "parallel_workers",
    "toast_tuple_target",
    "user_catalog_table",
    "log_autovacuum_min_duration",
    "vacuum_index_cleanup",
    "vacuum_truncate",
];

impl Preparing<'_> {
    pub(super) fn create_table(
        &mut self,
        create: &ast::CreateTable,
    ) -> Result<Vec<SqlError>, SqlError> {
        refuse_forms(create)?;
        let temporary = &self.settings.search_path.temporary;
        let name = match create.temporary {
            false => self.settings.new_name(&create.name)?,
            true => temporary.new_name(&create.name)?,
        };
        let mut notices = storage(&create.table_options)?;
        let mut names = Names::new(self.definitions);
        let name = match names.given(name) {
            Err(error) if create.if_not_exists => return Ok(vec![skipped(error)]),
            name => name?,
        };
        let mut draft = Draft::new(names, Definition::new(name), true);
        let mut constraints = Vec::new();
        for column in &create.columns {
            self.add_column(column, &mut draft, &mut constraints)?;
        }
        for constraint in &create.constraints {
            constraints.push(Constraint::of_table(constraint)?);
        }
        for constraint in constraints {
            self.constrain(constraint, &mut draft)?;
        }
        let definition = draft.finish()?;
        let at_end = match create.on_commit {
            Some(OnCommit::DeleteRows) => AtEnd::LosesRows,
            Some(OnCommit::Drop) => AtEnd::Goes,
            Some(OnCommit::PreserveRows) | None => AtEnd::Stays,
        };
        if is_temporary(&definition.name) {
            let mut fields = definition.schema.fields().iter();
            let refers = |field: &Field| {
                let to = field.references.as_ref();
                let to = to.filter(|to| to.collection != definition.name);
                to.is_some_and(|to| temporary.at_end(&to.collection) != at_end)
            };
            if fields.any(refers) {
                return Err(SqlError::unsupported("ON COMMIT of only one of two tables"));
            }
        }
        for sequence in &draft.sequences {
            self.definitions.create_sequence(sequence.clone())?;
        }
        let created = match is_temporary(draft.name()) {
            true => self.definitions.create_temporary(definition),
            false => self.definitions.create_collection(definition),
        };
        if let Err(error) = created {
            for sequence in &draft.sequences {
                self.definitions.drop_sequence(&sequence.name)?;
            }
            return Err(refused(error, draft.name()));
        }
        if is_temporary(draft.name()) {
            temporary.note(draft.name(), at_end);
        }
        notices.append(&mut draft.notices);
        Ok(notices)
    }
}

fn refuse_forms(create: &ast::CreateTable) -> Result<(), SqlError> {
    let forms = [
        (create.query.is_some(), "CREATE TABLE … AS"),
        (create.like.is_some(), "CREATE TABLE … LIKE"),
        (create.inherits.is_some(), "INHERITS"),
        (create.partition_of.is_some(), "PARTITION OF"),
        (create.partition_by.is_some(), "PARTITION BY"),
        (create.columns.is_empty(), "a table without columns"),
    ];
    if let Some((_, form)) = forms.iter().find(|(present, _)| *present) {
        return Err(SqlError::unsupported(form));
    }
    if create.on_commit.is_some() && !create.temporary {
        let message = "ON COMMIT can only be used on temporary tables";
        return Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message));
    }
    let known = CreateTableBuilder::new(create.name.clone())
        .temporary(create.temporary)
        // It makes no difference.
        .global(create.global)
        .on_commit(create.on_commit)
        .columns(create.columns.clone())
        .constraints(create.constraints.clone())
        .if_not_exists(create.if_not_exists)
        .table_options(create.table_options.clone())
        .build();
    match known == *create {
        true => Ok(()),
        false => Err(SqlError::unsupported("this form of CREATE TABLE")),
    }
}

/// Notices about parameters of storage, which mean nothing here.
pub(super) fn storage(options: &CreateTableOptions) -> Result<Vec<SqlError>, SqlError> {
    let options = match options {
        CreateTableOptions::None => return Ok(Vec::new()),
        CreateTableOptions::With(options) | CreateTableOptions::Plain(options) => options,
        other => return Err(SqlError::unsupported(format!("{other}"))),
    };
    let mut notices = Vec::new();
    for option in options {
        let name = match option {
            SqlOption::KeyValue { key, value: _ } => folded(key),
            SqlOption::TableSpace(_) => "tablespace".to_owned(),
            other => return Err(SqlError::unsupported(format!("{other}"))),
        };
        let is_known = STORAGE.contains(&&*name)
            || name == "tablespace"
            || ["autovacuum_", "toast."]
                .iter()
                .any(|prefix| name.starts_with(prefix));
        if !is_known {
            let message = format!("unrecognized parameter {name:?}");
            return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message));
        }
        notices.push(notice(format!(
            "{name} means nothing here: tables are in memory"
        )));
    }
    Ok(notices)
}
