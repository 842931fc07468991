//! Translation of the configuration's JSON Schema to CEL.
//!
//! The expression for a value is a text: empty if the value is valid, otherwise one line for each problem, which begins
//! with a line break and the path. Paths in a list are relative to the item, until the list adds its own path and the
//! index to each line.

use serde_json::{Map, Value};

/// The CEL expression for the problems of `value`, a CEL expression too. `path` is empty for the whole configuration.
pub(super) fn problems_in(schema: &Value, value: &str, path: &str) -> String {
    Translation { depth: 0 }.check(schema, value, path)
}

/// The schema of a list in whose items only this field is judged.
pub(super) fn only(list: &Value, field: &str) -> Value {
    let property = list["items"]["properties"][field].clone();
    serde_json::json!({
        "type": "array", "x-open": true,
        "items": { "type": "object", "x-open": true, "properties": { field: property } },
    })
}

/// A CEL string literal.
pub(super) fn literal(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// The path of an item of a list: relative, so a field's path begins with a dot.
const ITEM: &str = "\0";

struct Translation {
    /// How many lists surround the value, for the names of CEL variables.
    depth: u8,
}

/// The condition under which a value without members is valid, and what is expected.
struct Scalar {
    valid: String,
    expected: String,
}

impl Translation {
    fn check(&mut self, schema: &Value, value: &str, path: &str) -> String {
        if let Some(scalar) = scalar(schema, value) {
            return when(&format!("!({})", scalar.valid), path, &scalar.expected);
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema, value, path),
            Some("array") => self.list(schema, value, path),
            _ => self.choice(schema, value, path),
        }
    }

    /// A choice between values of different types.
    fn choice(&mut self, schema: &Value, value: &str, path: &str) -> String {
        let alternatives = items(&schema["anyOf"]);
        let (scalars, others): (Vec<_>, Vec<_>) =
            alternatives.iter().partition(|schema| scalar(schema, value).is_some());
        let mut expression = String::new();
        let mut expected = Vec::new();
        for schema in others {
            let (kind, text) = match schema["type"].as_str() {
                Some("array") => ("list", "a list"),
                _ => ("map", "an object"),
            };
            let checked = self.check(schema, value, path);
            expression += &format!("type({value}) == {kind} ? {checked} :\n");
            expected.push(text.to_owned());
        }
        let scalars: Vec<_> = scalars.into_iter().filter_map(|s| scalar(s, value)).collect();
        let valid: Vec<_> = scalars.iter().map(|scalar| scalar.valid.as_str()).collect();
        expected.splice(0..0, scalars.iter().map(|scalar| scalar.expected.clone()));
        let invalid = format!("!({})", valid.join(" || "));
        format!("({expression}{})", when(&invalid, path, &expected.join(", or ")))
    }

    fn object(&mut self, schema: &Value, value: &str, path: &str) -> String {
        let mut terms = Vec::new();
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        if schema["additionalProperties"] == false {
            terms.push(unknown(&properties, value, path));
        }
        terms.extend(named(schema, value, path));
        let required: Vec<_> =
            items(&schema["required"]).iter().filter_map(Value::as_str).collect();
        for (name, property) in &properties {
            let there = format!("{} in {value}", literal(name));
            let at = join(path, name);
            let missing = match required.contains(&name.as_str()) {
                true => problem(&at, "required"),
                false => "\"\"".to_owned(),
            };
            let problems = match property {
                Value::Bool(_) => "\"\"".to_owned(),
                schema => self.check(schema, &format!("{value}[{}]", literal(name)), &at),
            };
            if (&*problems, &*missing) != ("\"\"", "\"\"") {
                terms.push(format!("({there} ? {problems} : {missing})"));
            }
        }
        terms.extend(relations(schema, value, path));
        let terms = if terms.is_empty() { "\"\"".to_owned() } else { terms.join(" +\n") };
        // Another variable reports the wrong type.
        let wrong =
            if schema["x-open"] == true { "\"\"" } else { &problem(path, "must be an object") };
        format!("(type({value}) != map ? {wrong} :\n{terms})")
    }

    fn list(&mut self, schema: &Value, value: &str, path: &str) -> String {
        let mut terms = Vec::new();
        let bound = |bound: &str| schema[bound].as_u64();
        if let Some(least) = bound("minItems") {
            terms.push(when(&format!("size({value}) < {least}"), path, "must not be empty"));
        }
        if let Some(most) = bound("maxItems") {
            let expected = format!("must have at most {most} items");
            terms.push(when(&format!("size({value}) > {most}"), path, &expected));
        }
        if schema["uniqueItems"] == true {
            let repeated =
                format!("{value}.filter(e, {value}.indexOf(e) != {value}.lastIndexOf(e))");
            let start = literal(&format!("\n{path}[").replace(ITEM, ""));
            terms.push(format!(
                "({repeated}.size() == 0 ? \"\" :\n\
                 {start} + string({value}.lastIndexOf({repeated}[0])) + \"]: duplicate; remove it\")"
            ));
        }
        terms.extend(self.items(&schema["items"], value, path));
        let terms = if terms.is_empty() { "\"\"".to_owned() } else { terms.join(" +\n") };
        let wrong =
            if schema["x-open"] == true { "\"\"" } else { &problem(path, "must be a list") };
        format!("(type({value}) != list ? {wrong} :\n{terms})")
    }

    fn items(&mut self, schema: &Value, value: &str, path: &str) -> Option<String> {
        if schema.is_null() {
            return None;
        }
        let item = format!("i{}", self.depth);
        let place = format!(
            "{} + string({value}.indexOf({item})) + ",
            literal(&format!("\n{path}[").replace(ITEM, ""))
        );
        if let Some(scalar) = scalar(schema, &item) {
            let (valid, line) = (&scalar.valid, literal(&format!("]: {}", scalar.expected)));
            return Some(format!(
                "({value}.all({item}, {valid}) ? \"\" :\n{value}.filter({item}, !({valid})).map({item}, {place}{line}).join(\"\"))"
            ));
        }
        self.depth += 1;
        let problems = self.check(schema, &item, ITEM);
        self.depth -= 1;
        // The inner list binds the problems to a name, so that they are computed once.
        Some(format!(
            "{value}.map({item}, [{problems}].map(p, p == \"\" ? \"\" : p.replace(\"\\n\", {place}\"]\"))[0]).join(\"\")"
        ))
    }
}

/// The problem of a field that the object does not have.
fn unknown(properties: &Map<String, Value>, value: &str, path: &str) -> String {
    let names: Vec<_> = properties.keys().map(|name| literal(name)).collect();
    let expected: Vec<_> = properties.keys().map(String::as_str).collect();
    let start = literal(&format!("\n{}", join(path, "")).replace(ITEM, ""));
    let end = literal(&format!(": unknown field, expected one of {}", expected.join(", ")));
    format!(
        "{value}.filter(k, !(k in [{}])).map(k, {start} + k + {end}).join(\"\")",
        names.join(", ")
    )
}

/// An object with any names: the form of the names, and the values.
fn named(schema: &Value, value: &str, path: &str) -> Option<String> {
    let of_value = scalar(&schema["additionalProperties"], &format!("{value}[k]"))?;
    let of_name = scalar(&schema["propertyNames"], "k")?;
    let start = literal(&format!("\n{}", join(path, "")).replace(ITEM, ""));
    let lines = [of_name, of_value].map(|Scalar { valid, expected }| {
        let end = literal(&format!(": {expected}"));
        format!("{value}.filter(k, !({valid})).map(k, {start} + k + {end}).join(\"\")")
    });
    Some(lines.join(" +\n"))
}

/// The relations between the fields of an object.
fn relations(schema: &Value, value: &str, path: &str) -> Vec<String> {
    let mut terms = Vec::new();
    let alone = |choices: &Value| -> Vec<String> {
        let first = |choice: &Value| choice["required"][0].as_str().map(str::to_owned);
        items(choices).iter().filter_map(first).collect()
    };
    let has = |name: &str| format!("{} in {value}", literal(name));
    let one_of = alone(&schema["oneOf"]);
    if !one_of.is_empty() {
        let names: Vec<_> = one_of.iter().map(|name| literal(name)).collect();
        let wrong = format!("[{}].filter(f, f in {value}).size() != 1", names.join(", "));
        terms.push(when(&wrong, path, &format!("expected exactly one of {}", one_of.join(", "))));
    }
    if let [first, second] = alone(&schema["anyOf"]).as_slice() {
        let wrong = format!("!({}) && !({})", has(first), has(second));
        let expected = format!("required unless `{second}` is set");
        terms.push(when(&wrong, &join(path, first), &expected));
    }
    let exclusive: Vec<_> =
        items(&schema["not"]["required"]).iter().filter_map(Value::as_str).collect();
    if let [first, second] = exclusive.as_slice() {
        let wrong = format!("{} && {}", has(first), has(second));
        terms.push(when(&wrong, &join(path, second), &format!("not allowed with `{first}`")));
    }
    if schema["minProperties"] == 1 {
        terms.push(when(&format!("size({value}) == 0"), path, "must not be empty"));
    }
    if let Some(condition) = schema.get("if") {
        let condition = holds(condition, value);
        for name in items(&schema["then"]["not"]["required"]).iter().filter_map(Value::as_str) {
            let wrong = format!("{} && {condition}", has(name));
            let expected = "not used if tokenReview.use is \"instead\"; remove it";
            terms.push(when(&wrong, &join(path, name), expected));
        }
        for name in items(&schema["else"]["required"]).iter().filter_map(Value::as_str) {
            let wrong = format!("!({}) && !{condition}", has(name));
            terms.push(when(&wrong, &join(path, name), "required"));
        }
    }
    terms
}

/// Whether a value has the required fields, and those the given constants.
fn holds(schema: &Value, value: &str) -> String {
    if let Some(constant) = schema.get("const") {
        return format!("{value} == {constant}");
    }
    let mut terms = vec![format!("type({value}) == map")];
    let required = items(&schema["required"]).iter().filter_map(Value::as_str);
    terms.extend(required.map(|name| format!("{} in {value}", literal(name))));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        terms.push(holds(property, &format!("{value}[{}]", literal(name))));
    }
    format!("({})", terms.join(" && "))
}

/// The condition for a value without members, or `None`.
fn scalar(schema: &Value, value: &str) -> Option<Scalar> {
    let constants = |choices: &[Value]| -> Option<Vec<Value>> {
        choices.iter().map(|choice| choice.get("const").cloned()).collect()
    };
    let one_of = constants(items(&schema["oneOf"])).filter(|constants| !constants.is_empty());
    let listed = schema["enum"].as_array().cloned().or(one_of);
    if let Some(listed) = listed.or_else(|| schema.get("const").map(|one| vec![one.clone()])) {
        let texts: Vec<_> = listed.iter().map(ToString::to_string).collect();
        let expected = match texts.as_slice() {
            [one] => format!("must be {one}"),
            several => format!("expected one of {}", several.join(", ")),
        };
        return Some(Scalar { valid: format!("{value} in [{}]", texts.join(", ")), expected });
    }
    // The names of fields are texts, so their schemas have no type.
    let name = schema.get("pattern").and(Some("string"));
    let scalar = match schema["type"].as_str().or(name)? {
        "boolean" => Scalar {
            valid: format!("type({value}) == bool"),
            expected: "must be true or false".to_owned(),
        },
        "integer" => {
            let (least, most) = (&schema["minimum"], &schema["maximum"]);
            Scalar {
                valid: format!("type({value}) == int && {value} >= {least} && {value} <= {most}"),
                expected: format!("must be a whole number from {least} to {most}"),
            }
        }
        "string" => string(schema, value),
        _ => return None,
    };
    Some(scalar)
}

fn string(schema: &Value, value: &str) -> Scalar {
    let pattern = schema["pattern"].as_str();
    if pattern == Some(super::schema::DURATION) {
        return duration(schema, value);
    }
    let mut valid = format!("type({value}) == string");
    if let Some(pattern) = pattern {
        valid += &format!(" && {value}.matches({})", literal(pattern));
    }
    if schema["minLength"] == 1 {
        valid += &format!(" && {value} != \"\"");
    }
    let expected = match pattern {
        Some(pattern) => match super::schema::FORMS.iter().find(|(form, _)| *form == pattern) {
            Some((_, words)) => format!("must be {words}"),
            None => format!("must match {pattern}"),
        },
        None if schema["minLength"] == 1 => "must be a text that is not empty".to_owned(),
        None => "must be a text".to_owned(),
    };
    Scalar { valid, expected }
}

/// `duration()` of CEL reads these forms, and fails for numbers that are too large.
fn duration(schema: &Value, value: &str) -> Scalar {
    let form = literal("^0*([0-9]{1,11}ms|[0-9]{1,8}s|[0-9]{1,6}m|[0-9]{1,4}h)$");
    let longest = schema["x-longest"].as_str().unwrap_or(super::schema::LONGEST_DURATION);
    let mut valid = format!(
        "type({value}) == string && {value}.matches({form}) && duration({value}) <= duration(\"{longest}\")"
    );
    let mut expected =
        "must be a duration such as \"30s\", \"5m\", \"24h\" or \"250ms\"".to_owned();
    if let Some(shortest) = schema["x-shortest"].as_str() {
        valid += &format!(" && duration({value}) >= duration(\"{shortest}\")");
        expected += &format!(", of at least {shortest}");
    }
    expected += &format!(", of at most {longest}");
    Scalar { valid, expected }
}

fn when(wrong: &str, path: &str, expected: &str) -> String {
    format!("({wrong} ? {} : \"\")", problem(path, expected))
}

fn problem(path: &str, expected: &str) -> String {
    let separator = if path.is_empty() { "" } else { ": " };
    literal(&format!("\n{}{separator}{expected}", path.replace(ITEM, "")))
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
