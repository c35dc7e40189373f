//! CREATE, ALTER and DROP DATABASE: databases beside the one of the session.

use sqlparser::ast::{Ident, ObjectName};
use velocitydb::{Call, DatabaseDefinition};

use super::{notice, skipped};
use crate::error::{SqlError, missing_database, sqlstate};
use crate::parse::{DatabaseOption, folded};
use crate::statement::Preparing;

impl Preparing<'_> {
    pub(super) fn create_database(
        &self,
        name: &Ident,
        options: &[DatabaseOption],
    ) -> Result<Vec<SqlError>, SqlError> {
        let mut notices = Vec::new();
        for option in options {
            notices.extend(check(option)?);
        }
        let definition = DatabaseDefinition::new(folded(name));
        self.definitions
            .database()
            .create_database(definition, &Call::new())?;
        Ok(notices)
    }

    pub(super) fn rename_database(
        &self,
        name: &Ident,
        new_name: &Ident,
    ) -> Result<Vec<SqlError>, SqlError> {
        let (name, new_name) = (folded(name), folded(new_name));
        if name == *self.settings.database {
            let message = "current database cannot be renamed";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        self.redefine_database(&name, |definition| definition.name = new_name)
    }

    pub(super) fn comment_on_database(
        &self,
        name: &ObjectName,
        comment: Option<String>,
    ) -> Result<Vec<SqlError>, SqlError> {
        let [part] = &name.0[..] else {
            let message = "a database's name has one part";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        };
        let name = part.as_ident().map(folded).unwrap_or_default();
        self.redefine_database(&name, |definition| definition.comment = comment)
    }

    fn redefine_database(
        &self,
        name: &str,
        change: impl FnOnce(&mut DatabaseDefinition),
    ) -> Result<Vec<SqlError>, SqlError> {
        let mut all = self.definitions.database().databases().into_iter();
        let found = all.find(|(_, definition)| definition.name == name);
        let (_, mut definition) = found.ok_or_else(|| missing_database(name))?;
        change(&mut definition);
        self.definitions
            .database()
            .alter_database(name, definition, &Call::new())?;
        Ok(Vec::new())
    }

    pub(super) fn drop_database(
        &self,
        name: &Ident,
        if_exists: bool,
        force: bool,
    ) -> Result<Vec<SqlError>, SqlError> {
        let name = folded(name);
        if name == *self.settings.database {
            let message = "cannot drop the currently open database";
            return Err(SqlError::new(sqlstate::OBJECT_IN_USE, message));
        }
        let database = self.definitions.database();
        let dropped = match force {
            true => database.drop_database_with_force(&name, &Call::new()),
            false => database.drop_database(&name, &Call::new()),
        };
        match dropped {
            Err(velocitydb::Error::UnknownDatabase(_)) if if_exists => {
                Ok(vec![skipped(missing_database(&name))])
            }
            dropped => dropped.map(|_| Vec::new()).map_err(SqlError::from),
        }
    }
}

/// Accepts what is so anyway, tells of what means nothing, and refuses what would mean something else.
fn check(option: &DatabaseOption) -> Result<Option<SqlError>, SqlError> {
    let DatabaseOption { name, value } = option;
    let value = value.to_ascii_lowercase();
    let is_so = match name.as_str() {
        "template" => matches!(value.as_str(), "template0" | "template1" | "default"),
        "encoding" => {
            let known = matches!(
                value.as_str(),
                "utf8" | "utf-8" | "unicode" | "6" | "default"
            );
            if !known {
                let message = format!("the encoding {value:?}: all text is UTF8");
                return Err(SqlError::unsupported(message));
            }
            true
        }
        "lc_collate" | "lc_ctype" | "locale" => {
            matches!(
                value.as_str(),
                "c" | "posix" | "c.utf-8" | "c.utf8" | "default"
            )
        }
        "tablespace" => matches!(value.as_str(), "pg_default" | "default"),
        "allow_connections" => matches!(value.as_str(), "true" | "on" | "1" | "default"),
        "connection limit" => matches!(value.as_str(), "-1" | "default"),
        "is_template" => matches!(value.as_str(), "false" | "off" | "0" | "default"),
        "owner" => value == "default",
        "strategy" | "collation_version" | "oid" => false,
        _ => {
            let message = format!("database option {name:?} not recognized");
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
    };
    match (name.as_str(), is_so) {
        (_, true) => Ok(None),
        ("template" | "allow_connections" | "connection limit" | "is_template", false) => {
            let message = format!("CREATE DATABASE with {name} = {value}");
            Err(SqlError::unsupported(message))
        }
        ("lc_collate" | "lc_ctype" | "locale", false) => {
            let message =
                format!("{name} {value:?} means nothing: text is sorted by its bytes (C)");
            Ok(Some(notice(message)))
        }
        _ => Ok(Some(notice(format!("{name} means nothing here")))),
    }
}
