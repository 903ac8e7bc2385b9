internal import FXSystem
internal import Synchronization

/// The last refusals, for the owner's page.
///
/// Lock order: `ring` is a leaf.
final class RefusalLog: Sendable {
    /// A page shows them all.
    private static let capacity = 100

    private let ring = Mutex<[JSONValue]>([])

    func record(at time: Timestamp, origin: String?, path: String, _ refusal: Refusal, code: String) {
        let entry: JSONValue = [
            "time": .string(time.rfc3339), "origin": .text(origin.map { displayed(Array($0.utf8.prefix(300))) }),
            "path": .string(displayed(Array(path.utf8.prefix(100)))), "code": .string(code),
            "condition": .string(refusal.condition.rawValue),
        ]
        ring.withLock { ring in
            ring.append(entry)
            if ring.count > RefusalLog.capacity { ring.removeFirst() }
        }
    }

    /// Newest first.
    var recent: [JSONValue] { ring.withLock { $0.reversed() } }
}
