internal import FXSystem

/// Runs calls that block, such as those of FXMapping, on a bounded number of threads of their own: never on an event loop
/// nor on a thread of the language's pool.
final class WorkerPool: Sendable {
    private let lane: CallLane

    /// - Parameter waiting: how many calls may wait for a thread; more are refused.
    init(name: String, threads: Int, waiting: Int) {
        lane = CallLane(name: name, threads: threads, capacity: waiting)
    }

    /// - Throws: `stopping` or `tooManyRequests` when the call is not taken, and what `body` throws.
    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        let lane = lane
        return try await withCheckedThrowingContinuation { continuation in
            let answer = SingleAnswer(continuation)
            let isTaken = lane.submit {
                answer.give(Swift.Result { try body() })
            } drop: {
                answer.give(.failure(Refusal(.stopping, "the server is stopping", retryAfter: 1)))
            }
            if !isTaken {
                answer.give(.failure(Refusal(.tooManyRequests, "too many calls wait already", retryAfter: 1)))
            }
        }
    }

    /// Answers whoever waits; calls that run end by themselves.
    func stop() { lane.stop() }
}
