public import Logging
internal import Synchronization

/// Something a user or an auditor may want to know: a refusal, a sealed file, a failed upload.
public struct Event: Sendable {
    /// What happened, in lower case with underscores; part of the command-line contract: `refused`, `sealed`,
    /// `committed`.
    public var kind: String
    public var time: Timestamp
    public var fields: [JSONValue.Member]

    /// `{"time":…,"event":…, fields…}`
    public var json: JSONValue {
        .object([.init("time", .time(time)), .init("event", .string(kind))] + fields)
    }
}

/// The last events of this process, as `.fxmount/events.jsonl` shows them, and one structured log line for each.
///
/// Any thread may record; recording takes one short lock and writes the log line outside of it.
public final class EventLog: Sendable {
    private struct Ring {
        var events: [Event] = []
        var next = 0
        var total: UInt64 = 0
    }

    /// Enough to see what a backup run did; about 300 bytes each.
    public static let defaultCapacity = 2000

    private let ring = Mutex(Ring())
    private let capacity: Int
    private let clock: WallClock
    private let logger: Logger

    public init(
        capacity: Int = EventLog.defaultCapacity, clock: WallClock = .system, logger: Logger = Logger(label: "fxmount")
    ) {
        self.capacity = capacity
        self.clock = clock
        self.logger = logger
    }

    /// Remembers an event and logs it. At `capacity` the oldest is forgotten.
    public func record(_ kind: String, level: Logger.Level = .info, _ fields: [JSONValue.Member]) {
        let event = Event(kind: kind, time: clock.now(), fields: fields)
        ring.withLock { ring in
            if ring.events.count < capacity {
                ring.events.append(event)
            } else {
                ring.events[ring.next] = event
                ring.next = (ring.next + 1) % capacity
            }
            ring.total += 1
        }
        logger.log(level: level, "\(kind) \(JSONValue.object(fields).text)")
    }

    /// The remembered events, oldest first.
    public var recent: [Event] {
        ring.withLock { Array($0.events[$0.next...] + $0.events[..<$0.next]) }
    }

    /// How many events there have been, forgotten ones included.
    public var total: UInt64 { ring.withLock { $0.total } }
}
