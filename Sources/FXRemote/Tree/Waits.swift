internal import FXSystem
internal import Synchronization

/// Calls that wait for a result. Each is answered exactly once, or never after a successful `cancel`.
///
/// Lock order: `table` is a leaf; completions run outside of it.
final class Waits: Sendable {
    typealias Completion = @Sendable (Result<Void, RemoteError>) -> Void

    private struct Table {
        var next: UInt64 = 1
        var open: [WaitToken: Completion] = [:]
    }

    private let table = Mutex(Table())

    func begin(_ completion: @escaping Completion) -> WaitToken {
        table.withLock { table in
            let token = WaitToken(number: table.next)
            table.next += 1
            table.open[token] = completion
            return token
        }
    }

    func finish(_ token: WaitToken, _ result: Result<Void, RemoteError>) {
        let completion = table.withLock { $0.open.removeValue(forKey: token) }
        completion?(result)
    }

    /// Answers everybody who still waits; the service ends.
    func finishAll(_ result: Result<Void, RemoteError>) {
        let open = table.withLock { table in
            defer { table.open = [:] }
            return table.open
        }
        for completion in open.values { completion(result) }
    }

    /// True when the completion will not be called; false when it was or is about to be.
    func cancel(_ token: WaitToken) -> Bool {
        table.withLock { $0.open.removeValue(forKey: token) } != nil
    }
}
