internal import FXSystem
internal import Synchronization

/// A request with the one who waits for its answer.
final class Exchange: Sendable {
    let request: HTTPRequest
    let began = ContinuousDeadline.now()
    private let completion: @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    private let wish = Atomic<Bool>(false)

    init(_ request: HTTPRequest, _ completion: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void) {
        self.request = request
        self.completion = completion
    }

    /// Somebody wants it to end.
    var isCancelled: Bool { wish.load(ordering: .relaxed) }
    func cancel() { wish.store(true, ordering: .relaxed) }

    /// Called once: whoever takes an exchange out of a queue answers it.
    func complete(_ result: Result<HTTPResponse, HTTPFailure>) { completion(result) }

    /// When it has to end at the latest; nil when it may take any time.
    var end: ContinuousDeadline? { request.deadlines.total.map { began.advanced(by: $0) } }
    /// When waiting for its turn has to end.
    var endOfWaiting: ContinuousDeadline {
        let idle = began.advanced(by: request.deadlines.idle)
        return end.map { min($0, idle) } ?? idle
    }
}

/// The exchanges that wait for their turn, in order. A value: what happens to them is decided here.
struct ExchangeQueue {
    private(set) var waiting: [Exchange] = []
    var isStopping = false

    /// Far more than threads that could wait; about 1 KiB each.
    static let capacity = 4096

    /// - Returns: why it cannot wait here, if so.
    mutating func add(_ exchange: Exchange) -> HTTPFailure? {
        if isStopping { return .cancelled }
        if waiting.count >= ExchangeQueue.capacity { return .overloaded }
        waiting.append(exchange)
        return nil
    }

    /// What the transport's thread does next.
    struct Turn {
        var started: [Exchange] = []
        var ended: [(Exchange, HTTPFailure)] = []
        /// When to look again if nothing else happens.
        var next: ContinuousDeadline?
        var isStopping = false
    }

    /// - Parameter room: how many may begin.
    mutating func take(_ room: Int, at now: ContinuousDeadline) -> Turn {
        var turn = Turn(isStopping: isStopping)
        var left: [Exchange] = []
        for exchange in waiting {
            if isStopping || exchange.isCancelled {
                turn.ended.append((exchange, .cancelled))
            } else if exchange.endOfWaiting <= now {
                turn.ended.append((exchange, .timedOut(isSent: false)))
            } else if turn.started.count < room {
                turn.started.append(exchange)
            } else {
                left.append(exchange)
            }
        }
        waiting = left
        turn.next = left.lazy.map(\.endOfWaiting).min()
        return turn
    }
}
