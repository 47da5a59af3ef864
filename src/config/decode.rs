//! Serde, but with every problem at once.
//!
//! A derived `Deserialize` gives up at the first thing that does not fit. This deserializer lets it see only what
//! fits: keys that a table does not have are reported and left out before the visitor meets them, and a value
//! that turned out not to fit is reported, and left out when the document is read again, until nothing new is
//! found. The schema stays a plain set of structs.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use serde::de::value::{CowStrDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};
use serde_spanned::Spanned;
use serde_spanned::de::{SpannedDeserializer, is_spanned};
use toml::de::{DeString, DeTable, DeValue};

use crate::report::{Code, Location, Problem, Report, SourceId};

/// Reads `text` as a `T`, as far as it is one: what does not fit is reported and has its default. `None` where it is
/// no TOML, or where something is missing that has no default.
pub(super) fn decode<T: DeserializeOwned>(source: SourceId, text: &str, report: &mut Report) -> Option<T> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for e in &errors {
        let at = Location { source, span: e.span().unwrap_or(0..0) };
        report.push(Problem::error(Code::ConfigSyntax, at, e.message().to_owned()));
    }
    if !errors.is_empty() {
        return None;
    }
    let span = document.span();
    let document = Spanned::new(span.clone(), DeValue::Table(document.into_inner()));
    let pass =
        Pass { source, report: RefCell::default(), unknown: RefCell::default(), unfit: RefCell::default() };
    let decoded = loop {
        match T::deserialize(Decoder { value: &document, pass: &pass }) {
            Ok(value) => break Some(value),
            Err(misfit) => {
                if !pass.note(&misfit) {
                    break None;
                }
            }
        }
    };
    report.extend_in_order(pass.report.into_inner());
    decoded
}

/// What was found so far.
struct Pass {
    source: SourceId,
    report: RefCell<Report>,
    /// Where unknown keys stand that were reported.
    unknown: RefCell<BTreeSet<usize>>,
    /// Values that do not fit.
    unfit: RefCell<BTreeSet<Place>>,
}

/// Which value: where it starts and ends, and whether it is an array, since `[[pool]]` is both the place of all pools and of
/// the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    start: usize,
    end: usize,
    is_array: bool,
}

impl Place {
    fn of(value: &Spanned<DeValue<'_>>) -> Self {
        Self { is_array: matches!(value.get_ref(), DeValue::Array(_)), ..value.span().into() }
    }
}

impl From<Range<usize>> for Place {
    fn from(span: Range<usize>) -> Self {
        Self { start: span.start, end: span.end, is_array: false }
    }
}

impl Pass {
    /// Reports an error and marks the value it is about. False: nothing new, so that reading again is no use.
    fn note(&self, e: &Misfit) -> bool {
        if !self.unfit.borrow_mut().insert(e.place()) {
            return false;
        }
        if let Some(problem) = e.problem(self.source) {
            self.report.borrow_mut().push(problem);
        }
        true
    }

    fn is_unfit(&self, value: &Spanned<DeValue<'_>>) -> bool {
        self.unfit.borrow().contains(&Place::of(value))
    }

    fn unknown_key(&self, key: &Spanned<DeString<'_>>, known: &'static [&'static str]) {
        if !self.unknown.borrow_mut().insert(key.span().start) {
            return;
        }
        let (name, at) = (key.get_ref(), Location { source: self.source, span: key.span() });
        let problem = Problem::error(Code::ConfigUnknownKey, at, format!("unknown key `{name}`"));
        let problem = match nearest(name, known) {
            Some(nearest) => problem.help(format!("there is a key `{nearest}`")),
            None => problem.help(format!("keys here are: {}", known.join(", "))),
        };
        self.report.borrow_mut().push(problem.label("not a key of this table"));
    }
}

/// The known word that is most like `word`, if any is like it at all.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k &'k str>) -> Option<&'k str> {
    const LIKE: f64 = 0.75;
    let likeness = |known: &str| strsim::jaro_winkler(word, known);
    let best = known.into_iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > LIKE).then_some(best)
}

/// Why a value does not fit.
#[derive(Debug)]
struct Misfit {
    what: What,
    place: Option<Place>,
}

#[derive(Debug)]
enum What {
    Value(String),
    Missing(&'static str),
    /// It is missing because what stood there did not fit, which was told already.
    Told,
}

impl Misfit {
    fn at(mut self, value: &Spanned<DeValue<'_>>) -> Self {
        self.place.get_or_insert_with(|| Place::of(value));
        self
    }

    fn at_key(mut self, key: &Spanned<DeString<'_>>) -> Self {
        self.place.get_or_insert_with(|| key.span().into());
        self
    }

    fn place(&self) -> Place {
        self.place.clone().unwrap_or_else(|| (0..0).into())
    }

    fn problem(&self, source: SourceId) -> Option<Problem> {
        let place = self.place();
        let at = Location { source, span: place.start..place.end };
        match &self.what {
            What::Value(why) => Some(Problem::error(Code::ConfigBadValue, at, why.clone())),
            What::Missing(key) => {
                let problem =
                    Problem::error(Code::ConfigMissingKey, at, format!("the key `{key}` is missing"));
                Some(problem.label("in this table"))
            }
            What::Told => None,
        }
    }
}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { what: What::Value(message.to_string()), place: None }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { what: What::Missing(field), place: None }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Misfit {}

/// Hands one value to its visitor.
#[derive(Clone, Copy)]
struct Decoder<'a> {
    value: &'a Spanned<DeValue<'a>>,
    pass: &'a Pass,
}

impl<'a> Decoder<'a> {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.value.get_ref() {
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => visitor.visit_i64(number),
                Err(e) => Err(Misfit::custom(e)),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(e) => Err(Misfit::custom(e)),
            },
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Datetime(_) => Err(Misfit::custom("a date is not expected here")),
            DeValue::Array(items) => visitor.visit_seq(Items { rest: items.iter(), pass: self.pass }),
            DeValue::Table(table) => visitor.visit_map(self.entries(table, None)),
        }
    }

    /// The entries of a table that are known (all of them where `known` is `None`) and fit.
    fn entries(self, table: &'a DeTable<'a>, known: Option<&'static [&'static str]>) -> Entries<'a> {
        let mut entries = Vec::new();
        for (key, value) in table {
            match known {
                Some(known) if !known.contains(&&**key.get_ref()) => self.pass.unknown_key(key, known),
                _ if self.pass.is_unfit(value) => {}
                _ => entries.push((key, value)),
            }
        }
        entries.sort_by_key(|(key, _)| key.span().start);
        Entries { rest: entries.into_iter(), value: None, pass: self.pass }
    }

    /// A missing key is no news where its value was there and did not fit.
    fn told(self, table: &DeTable<'_>, mut e: Misfit) -> Misfit {
        if let What::Missing(missing) = e.what {
            let there =
                table.iter().any(|(key, value)| key.get_ref() == missing && self.pass.is_unfit(value));
            if there {
                e.what = What::Told;
            }
        }
        e
    }
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.visit(visitor).map_err(|e| e.at(self.value))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        if is_spanned(name) {
            return visitor.visit_map(SpannedDeserializer::new(self, self.value.span()));
        }
        let DeValue::Table(table) = self.value.get_ref() else { return self.deserialize_any(visitor) };
        let decoded = visitor.visit_map(self.entries(table, Some(fields)));
        decoded.map_err(|e| self.told(table, e).at(self.value))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self).map_err(|e| e.at(self.value))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let DeValue::String(word) = self.value.get_ref() else { return self.deserialize_any(visitor) };
        let unknown = || format!("`{word}` is none of: {}", variants.join(", "));
        let word: StrDeserializer<'_, Misfit> = (**word).into_deserializer();
        visitor.visit_enum(word).map_err(|_| Misfit::custom(unknown()).at(self.value))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Misfit> for Decoder<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The items of an array, those that do not fit left out.
struct Items<'a> {
    rest: std::slice::Iter<'a, Spanned<DeValue<'a>>>,
    pass: &'a Pass,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(value) = self.rest.find(|value| !self.pass.is_unfit(value)) else { return Ok(None) };
        let item = seed.deserialize(Decoder { value, pass: self.pass });
        item.map(Some).map_err(|e| e.at(value))
    }
}

/// The entries of a table, in the order of the file.
struct Entries<'a> {
    rest: std::vec::IntoIter<(&'a Spanned<DeString<'a>>, &'a Spanned<DeValue<'a>>)>,
    value: Option<&'a Spanned<DeValue<'a>>>,
    pass: &'a Pass,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Key(key)).map(Some).map_err(|e| e.at_key(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        match self.value.take() {
            Some(value) => seed.deserialize(Decoder { value, pass: self.pass }).map_err(|e| e.at(value)),
            None => Err(Misfit::custom("a value without a key")),
        }
    }
}

/// A key, with its place where that is wanted.
struct Key<'a>(&'a Spanned<DeString<'a>>);

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_str(self.0.get_ref())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        if !is_spanned(name) {
            return self.deserialize_any(visitor);
        }
        let text: CowStrDeserializer<'_, Misfit> = self.0.get_ref().clone().into_deserializer();
        visitor.visit_map(SpannedDeserializer::new(text, self.0.span()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
