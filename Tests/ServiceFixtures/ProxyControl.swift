import FXSystem

/// A proxy that fails by rule in front of a service, in a process of its own (Tests/TestServices/README.md).
public final class ProxyControl: Sendable {
    public let service: ServiceProcess
    /// The one to use in the place of the service's own.
    public let port: Int
    private let control: LoopbackClient

    public init(before upstreamPort: Int, roundTripMilliseconds: Int = 0) throws {
        service = try ServiceProcess([
            "proxy", "--upstream", "\(upstreamPort)", "--round-trip", "\(roundTripMilliseconds)",
        ])
        port = try service.port("port")
        control = LoopbackClient(port: try service.port("control"))
    }

    public func stop() { service.stop() }

    /// A client that goes through the proxy.
    public var http: LoopbackClient { LoopbackClient(port: port) }

    /// `["number": 3, "drop_answer": true]`; one rule or a list of them.
    public func rule(_ rule: JSONValue) throws { try control.call("POST", "/rules", rule) }
    public func clearRules() throws { try control.call("DELETE", "/rules") }
    /// Rules that have not been used up.
    public func pendingRules() throws -> Int { Int(try control.call("GET", "/rules").integer ?? -1) }
    /// No rules, no log, numbers from 1.
    public func reset() throws { try control.call("POST", "/reset") }
    public func set(_ settings: JSONValue) throws { try control.call("POST", "/settings", settings) }
    public func cutAll(withReset: Bool = false) throws {
        try control.call("POST", "/cut", .object([.init("reset", .bool(withReset))]))
    }

    /// A request that went through.
    public struct Request: Sendable {
        public var number: Int
        public var connection: Int
        public var method: String
        public var target: String
        /// What the client was given; 0 for nothing.
        public var status: Int
        public var upstreamStatus: Int
        /// Bytes forwarded and answered, heads included.
        public var sent: Int
        public var received: Int
        public var isTreated: Bool
        public var isDone: Bool
    }

    public func log(after number: Int = 0) throws -> [Request] {
        (try control.call("GET", "/log?after=\(number)").elements ?? []).map { entry in
            func number(_ key: String) -> Int { Int(entry[key]?.integer ?? 0) }
            return Request(
                number: number("number"), connection: number("connection"), method: entry["method"]?.string ?? "",
                target: entry["target"]?.string ?? "", status: number("status"),
                upstreamStatus: number("upstream_status"), sent: number("sent"), received: number("received"),
                isTreated: entry["treated"]?.boolean ?? false, isDone: entry["done"]?.boolean ?? false)
        }
    }

    /// The log once every request in it has ended: its last numbers are known a moment after the client has its answer.
    public func finishedLog(after number: Int = 0, seconds: Int = 5) throws -> [Request] {
        let deadline = ContinuousDeadline.after(.seconds(seconds))
        while true {
            let log = try log(after: number)
            if log.allSatisfy(\.isDone) { return log }
            if deadline.hasPassed { throw NoAnswer("requests are still under way: \(log.filter { !$0.isDone })") }
        }
    }

    /// requests, connections, under_way, most_under_way.
    public func counter(_ name: String) throws -> Int {
        Int(try control.call("GET", "/counters")[name]?.integer ?? 0)
    }
}
