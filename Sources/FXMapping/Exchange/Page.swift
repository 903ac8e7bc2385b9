/// How the names of a list are ordered: by their bytes.
public enum FileSort: String, Sendable, Hashable, CaseIterable {
    case ascending = "ASC", descending = "DESC"
}

/// Which part of a list is wanted, and in which order.
public struct Page: Sendable, Hashable {
    /// Entries before it are left out; counted from 0.
    public let start: Int
    /// At most so many entries; nil is all that are left.
    public let size: Int?
    public let sort: FileSort

    /// All of it, ascending.
    public static let all = Page()

    private init() {
        start = 0
        size = nil
        sort = .ascending
    }

    /// Checks what came from outside; nil is an absent parameter.
    /// - Throws: `ExchangeError.parameter` for a negative start, a size below 1, a sort that is neither ASC nor DESC.
    public init(start: Int?, size: Int?, sort: String?) throws(ExchangeError) {
        self.start = start ?? 0
        self.size = size
        if self.start < 0 { throw .parameter(.start, .outOfRange) }
        if let size, size < 1 { throw .parameter(.size, .outOfRange) }
        guard let sort else {
            self.sort = .ascending
            return
        }
        // The generation before this API wrote them in lower case.
        guard let known = FileSort(rawValue: sort.uppercased()) else { throw .parameter(.sort, .unknownValue) }
        self.sort = known
    }

    /// This page of `items`, which are in ascending order. Past the end it is empty.
    public func part<Item>(of items: [Item]) -> [Item] {
        let from = min(start, items.count)
        let to = size.map { from + min($0, items.count - from) } ?? items.count
        switch sort {
        case .ascending: return Array(items[from..<to])
        // Counted from the other end, so that only what is wanted is turned round.
        case .descending: return items[(items.count - to)..<(items.count - from)].reversed()
        }
    }
}
