/// The nearest word to a mistyped one.
enum Suggestion {
    /// The candidate fewest edits away, if that is near enough to be what was meant.
    static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        // A third of the letters wrong is a typing error; more is another word.
        let limit = max(1, word.count / 3 + 1)
        return candidates.map { (distance(word, $0), $0) }.filter { $0.0 <= limit }.min { $0 < $1 }?.1
    }

    /// Levenshtein's distance: insertions, deletions and replacements of characters.
    static func distance(_ left: String, _ right: String) -> Int {
        let (left, right) = (Array(left), Array(right))
        var previous = Array(0...right.count)
        for (row, character) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                current.append(
                    min(previous[column + 1] + 1, current[column] + 1, previous[column] + (character == other ? 0 : 1)))
            }
            previous = current
        }
        return previous[right.count]
    }
}
