//! What a schema asks of each declared field, in the order in which documents have their fields.
//!
//! Both are sorted by name, so a document is judged in one walk over the two. The walk only says
//! whether all is well; whoever needs to know what is wrong looks again. Tests: through `schema`.

use super::constraints::Rule;
use super::{DefaultValue, Field, Openness};
use crate::encoding::{first_word, put_name, split_name, tag, word_mask};
use crate::raw::{RawMap, RawValue};

/// A schema's fields, sorted by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan(Vec<Slot>);

/// What is asked of one field.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    name: Box<str>,
    /// How the field's entry in a document begins.
    head: Box<[u8]>,
    /// Its [`first_word`], and which bits of it count.
    word: u64,
    mask: u64,
    /// [`FieldType::tags`] of its type.
    tags: u32,
    /// Those of them, null excepted, of which every value will do.
    plain: u32,
    required: bool,
    has_default: bool,
    rules: Box<[Rule]>,
}

impl Slot {
    pub(super) fn new(field: &Field, rules: Vec<Rule>) -> Self {
        let mut head = Vec::new();
        put_name(&field.name, &mut head);
        Self {
            name: field.name.as_str().into(),
            word: first_word(&head),
            mask: word_mask(head.len()),
            head: head.into(),
            tags: field.kind.tags(),
            plain: if rules.is_empty() {
                field.kind.tags() & !(1 << tag::NULL)
            } else {
                0
            },
            required: field.required,
            has_default: !matches!(field.default, None | Some(DefaultValue::Sql(_))),
            rules: rules.into(),
        }
    }

    /// The constraint that a value of the field's type breaks.
    pub(super) fn broken(&self, value: RawValue<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| !rule.allows(value))
    }

    /// Whether bytes begin with an entry of this field, whose value needs no second look.
    #[inline]
    fn is_plain(&self, bytes: &[u8]) -> bool {
        let len = self.head.len();
        (first_word(bytes) ^ self.word) & self.mask == 0
            && (len <= 8 || bytes.starts_with(&self.head))
            && bytes
                .get(len)
                .is_some_and(|&tag| self.plain & 1_u32.wrapping_shl(tag.into()) != 0)
    }

    /// Whether a document may have this, or nothing, here.
    #[inline]
    pub(super) fn fits(&self, value: Option<RawValue<'_>>) -> bool {
        match value {
            Some(value) if !value.is_null() => {
                self.tags & 1_u32.wrapping_shl(value.tag().into()) != 0
                    && (self.rules.is_empty() || self.broken(value).is_none())
            }
            _ => !self.required,
        }
    }

    /// Whether resolving a document changes nothing here, and it fits.
    #[inline]
    pub(super) fn is_settled(&self, value: Option<RawValue<'_>>) -> bool {
        self.fits(value) && (value.is_some() || !self.has_default)
    }
}

/// How many more fields a document may have than a plan before each is searched for.
const WALK_RATIO: usize = 8;

impl Plan {
    pub(super) fn new(mut slots: Vec<Slot>) -> Self {
        slots.sort_by(|a, b| a.name.cmp(&b.name));
        Self(slots)
    }

    pub(super) fn slot(&self, name: &str) -> Option<&Slot> {
        let found = self.0.binary_search_by(|slot| (*slot.name).cmp(name));
        found.ok().map(|index| &self.0[index])
    }

    /// Whether every field has what `judge` lets pass, and a strict schema knows all fields.
    #[inline]
    pub(super) fn all(
        &self,
        openness: Openness,
        map: RawMap<'_>,
        judge: impl Fn(&Slot, Option<RawValue<'_>>) -> bool,
    ) -> bool {
        let strict = openness == Openness::Strict;
        if !strict && self.0.is_empty() {
            return true;
        }
        if !strict && map.len() / WALK_RATIO > self.0.len() {
            return self.0.iter().all(|slot| judge(slot, map.get(&slot.name)));
        }
        if self.is_plain(map) {
            return true;
        }
        let mut entries = map.entry_bytes();
        let mut next = entries.next();
        for slot in &self.0 {
            let mut value = None;
            while let Some(entry) = next {
                if let Some(found) = entry.strip_prefix(&*slot.head) {
                    value = Some(RawValue::trusted(found));
                    next = entries.next();
                    break;
                }
                let (name, _) = split_name(entry).unwrap_or_default();
                if name > slot.name.as_bytes() {
                    break;
                }
                if strict {
                    return false;
                }
                next = entries.next();
            }
            if !judge(slot, value) {
                return false;
            }
        }
        !strict || next.is_none()
    }

    /// Whether a document has exactly these fields, each with a value of its type that needs no
    /// second look, as most documents do: whatever is asked, nothing is amiss.
    #[inline]
    fn is_plain(&self, map: RawMap<'_>) -> bool {
        map.len() == self.0.len() && {
            let mut slots = self.0.iter();
            map.all_entries(|bytes, _| slots.next().is_some_and(|slot| slot.is_plain(bytes)))
        }
    }
}
