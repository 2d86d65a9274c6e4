//! What all four programs of the house do the same way: count words, and report.

use std::collections::BTreeMap;

/// How often each word stands in a text.
pub fn counted(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for word in text.split_whitespace() {
        *found.entry(word.to_lowercase()).or_insert(0) += 1;
    }
    found
}

/// One line a word, the most frequent first.
pub fn report(name: &str, text: &str) -> String {
    let mut rows: Vec<(String, usize)> = counted(text).into_iter().collect();
    rows.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
    let lines: Vec<String> = rows.iter().map(|(word, times)| format!("{times:>6} {word}")).collect();
    format!("{name}: {} words\n{}\n", rows.len(), lines.join("\n"))
}
