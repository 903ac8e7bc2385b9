internal import FXSystem

extension ReadCache {
    /// What it holds, and what it was good for.
    struct Standing: Sendable, Equatable {
        var size: ByteCount
        var allocated: ByteCount
        var contents: Int
        var isUsed: Bool
        /// What came from it, and what had to be asked for.
        var hit: ByteCount
        var missed: ByteCount

        var json: JSONValue {
            .object([
                .init("size", .bytes(size)), .init("bytes", .bytes(allocated)),
                .init("contents", .integer(Int64(contents))), .init("used", .bool(isUsed)),
                .init("hit_bytes", .bytes(hit)), .init("missed_bytes", .bytes(missed)),
            ])
        }

        /// In the Prometheus text format.
        var metrics: String {
            [
                ("cache_bytes", "gauge", allocated), ("cache_hit_bytes_total", "counter", hit),
                ("cache_missed_bytes_total", "counter", missed),
            ].map { "# TYPE fxmount_\($0) \($1)\nfxmount_\($0) \($2.rawValue)\n" }.joined()
        }
    }
}
