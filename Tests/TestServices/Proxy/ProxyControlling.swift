import FXSystem

/// The control port of the proxy.
extension FaultProxy {
    func control(_ call: Call) throws(ControlError) -> JSONValue {
        let body = call.body.count == 0 ? JSONValue.object([]) : call.json
        guard let body else { throw ControlError("the body is not JSON") }
        switch (call.method, call.path) {
        case ("POST", "/reset"):
            state.withLock { $0.reset() }
            return [:]
        case ("POST", "/rules"):
            var added: [ProxyRule] = []
            for rule in body.elements ?? [body] { added.append(try ProxyRule(rule)) }
            return state.withLock { state in
                state.rules += added
                return .number(of: state.rules.count)
            }
        case ("GET", "/rules"): return .number(of: state.withLock { $0.rules.count })
        case ("DELETE", "/rules"):
            state.withLock { $0.rules = [] }
            return [:]
        case ("POST", "/settings"):
            try change(body)
            return [:]
        case ("POST", "/cut"):
            cutAll(withReset: body["reset"]?.boolean ?? false)
            return [:]
        case ("GET", "/log"):
            let after = call.parameter("after").flatMap { Int($0) } ?? 0
            return .array(state.withLock { $0.log }.filter { $0.number > after }.map { $0.json })
        case ("GET", "/counters"):
            return state.withLock { state in
                .object([
                    .init("requests", .number(of: state.log.last?.number ?? 0)),
                    .init("connections", .number(of: state.connections)),
                    .init("under_way", .number(of: state.underWay)),
                    .init("most_under_way", .number(of: state.mostUnderWay)),
                ])
            }
        default: throw ControlError("no such control: \(call.method) \(call.path)")
        }
    }

    private func change(_ body: JSONValue) throws(ControlError) {
        for member in body.members ?? [] {
            switch (member.key, member.value) {
            case ("round_trip_milliseconds", .integer(let value)):
                state.withLock { $0.roundTripMilliseconds = Int(value) }
            case ("upstream", .integer(let value)): state.withLock { $0.upstreamPort = Int(value) }
            case ("down", .bool(let value)):
                state.withLock { $0.isDown = value }
                if value { cutAll(withReset: true) }
            default: throw ControlError("no such setting, or not of its type: \(member.key)")
            }
        }
    }
}

extension ProxyState.Entry {
    var json: JSONValue {
        .object([
            .init("number", .number(of: number)), .init("connection", .number(of: connection)),
            .init("method", .string(method)), .init("target", .string(target)), .init("status", .number(of: status)),
            .init("upstream_status", .number(of: upstreamStatus)), .init("sent", .number(of: sent)),
            .init("received", .number(of: received)), .init("treated", .bool(isTreated)),
            .init("done", .bool(isDone)),
        ])
    }
}
