//! The figures of a server, read from the text of `/metrics` (OpenMetrics 1.0).
//!
//! Tests: below.

use std::collections::BTreeMap;

/// One figure with its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name, without the prefix `velocitydb_`.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A label's value; empty without one.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// All figures at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(Vec<Sample>);

impl Figures {
    /// Reads the text of `/metrics`.
    pub fn parse(text: &str) -> Result<Figures, String> {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).ok_or_else(|| format!("the figure {line:?}")));
        Ok(Figures(samples.collect::<Result<_, _>>()?))
    }

    /// Those of one database and of the whole server, or all.
    pub fn of_database(mut self, database: Option<&str>) -> Figures {
        let fits = |sample: &Sample| match sample.label("database") {
            "" => true,
            of => database.is_none_or(|database| of == database),
        };
        self.0.retain(fits);
        self
    }

    /// Every sample of a name.
    pub fn named<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// A figure without labels.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.named(name).next().map(|sample| sample.value)
    }

    /// The same as a whole number, 0 where there is none.
    pub fn whole(&self, name: &str) -> u64 {
        // Counts and bytes are far below what a float cannot hold.
        self.get(name).map_or(0, |value| value as u64)
    }
}

/// `velocitydb_name{label="value",…} number`
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let name = line[..end]
        .strip_prefix("velocitydb_")
        .unwrap_or(&line[..end]);
    let (labels, rest) = match line[end..].strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (BTreeMap::new(), &line[end..]),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// The labels up to the brace, and what follows it.
fn labels(mut text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches(',');
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), rest.char_indices());
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    c => value.push(c),
                },
                (_, c) => value.push(c),
            }
        };
        labels.insert(name.to_owned(), value);
        text = &rest[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read() {
        let text = "# TYPE velocitydb_entries counter\n\
                    velocitydb_entries_total 12\n\
                    velocitydb_requests_total{route=\"/a,{b}\",method=\"G\\\"E\\\\\\n\"} 3.5\n\
                    # EOF\n";
        let figures = Figures::parse(text).unwrap();
        assert_eq!(figures.whole("entries_total"), 12);
        assert_eq!((figures.get("other"), figures.whole("other")), (None, 0));
        let sample = figures.named("requests_total").next().unwrap();
        assert_eq!(sample.value, 3.5);
        assert_eq!(sample.label("route"), "/a,{b}");
        assert_eq!(sample.label("method"), "G\"E\\\n");
        for bad in ["a", "a b", "a{b=\"c} 1", "a{b} 1"] {
            assert!(Figures::parse(bad).is_err(), "{bad}");
        }
    }
}
