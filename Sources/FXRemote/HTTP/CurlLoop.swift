internal import CCurl
internal import FXSystem
internal import Logging
internal import Synchronization

/// What callers and the transport's thread share.
final class CurlCore: Sendable {
    let queue = Mutex(ExchangeQueue())
    let multi: MultiHandle

    init?() {
        guard CurlLibrary.isReady, let multi = MultiHandle() else { return nil }
        self.multi = multi
    }

    func stop() {
        queue.withLock { $0.isStopping = true }
        multi.wake()
    }
}

/// The life of the transport's thread. Belongs to that thread.
final class CurlLoop {
    private let core: CurlCore
    private let origin: HTTPOrigin
    private let options: HTTPOptions
    private let log: Logger
    /// nil without a limit.
    private let rates: TransferRates?
    private var free: [CurlSlot] = []
    private var active: [CurlSlot] = []
    private var slotsMade = 0

    init(_ core: CurlCore, _ origin: HTTPOrigin, _ options: HTTPOptions, _ log: Logger) {
        self.core = core
        self.origin = origin
        self.options = options
        self.log = log
        rates = options.bytesPerSecond.map { TransferRates(limit: $0, now: .now()) }
        let idleConnections = max(1, options.maximumConnections)
        _ = unsafe fx_curl_multi_set_long(core.multi.raw, CURLMOPT_MAXCONNECTS, idleConnections)
    }

    /// Returns when the transport was stopped and everybody has an answer.
    func run() {
        while true {
            let room = max(1, options.maximumConnections) - active.count
            let turn = core.queue.withLock { $0.take(room, at: .now()) }
            for (exchange, failure) in turn.ended { answer(exchange, .failure(failure)) }
            if turn.isStopping { break }
            for exchange in turn.started { begin(exchange) }
            if perform(until: turn.next) { continue }
        }
        for slot in active { end(slot, .failure(.cancelled)) }
    }

    /// Lets libcurl work, ends what has ended, and sleeps when that was nothing.
    /// - Returns: true when somebody waiting may begin now.
    private func perform(until next: ContinuousDeadline?) -> Bool {
        var hasEnded = giveTurns()
        var running: Int32 = 0
        let status = unsafe curl_multi_perform(core.multi.raw, &running)
        if status != CURLM_OK, !active.isEmpty {
            hasEnded = true
            // Out of memory or a mistake of ours: nothing that is under way can be trusted to end by itself.
            log.error("libcurl failed", metadata: ["code": "\(status.rawValue)"])
            for slot in active { end(slot, .failure(slot.isSent ? .cut(isSent: true) : .overloaded)) }
        }
        hasEnded = takeMessages() || hasEnded
        hasEnded = endOverdue() || hasEnded
        if !hasEnded { sleep(until: next) }
        return hasEnded
    }

    private func begin(_ exchange: Exchange) {
        if let failure = CurlLoop.refusal(of: exchange.request) { return answer(exchange, .failure(failure)) }
        guard let slot = free.popLast() ?? newSlot() else { return answer(exchange, .failure(.overloaded)) }
        let isReady = slot.prepare(exchange, origin, options)
        guard isReady, unsafe curl_multi_add_handle(core.multi.raw, slot.easy.raw) == CURLM_OK else {
            _ = slot.finish()
            free.append(slot)
            return answer(exchange, .failure(.overloaded))
        }
        active.append(slot)
    }

    private func newSlot() -> CurlSlot? {
        slotsMade += 1
        return CurlSlot(slotsMade, rates)
    }

    private static func refusal(of request: HTTPRequest) -> HTTPFailure? {
        do throws(HTTPFailure) {
            try request.check()
            return nil
        } catch { return error }
    }

    private func takeMessages() -> Bool {
        var hasEnded = false
        var left: Int32 = 0
        while let message = unsafe curl_multi_info_read(core.multi.raw, &left) {
            guard unsafe message.pointee.msg == CURLMSG_DONE else { continue }
            let code = unsafe message.pointee.data.result
            let raw = unsafe message.pointee.easy_handle
            guard let slot = active.first(where: { unsafe $0.easy.raw == raw }) else { continue }
            hasEnded = true
            end(slot, code)
        }
        return hasEnded
    }

    /// Lets those go on whose turn it is to move bytes under the limit.
    /// - Returns: true when one has ended by that.
    private func giveTurns() -> Bool {
        guard let rates else { return false }
        let now = ContinuousDeadline.now()
        var hasEnded = false
        while let number = rates.next(at: now) {
            guard let slot = active.first(where: { $0.number == number }) else {
                rates.leave(number)
                continue
            }
            let code = slot.resume()
            if code == CURLE_OK { continue }
            end(slot, code)
            hasEnded = true
        }
        return hasEnded
    }

    private func endOverdue() -> Bool {
        let now = ContinuousDeadline.now()
        var hasEnded = false
        for slot in active {
            let isCancelled = slot.work?.exchange.isCancelled == true
            guard let failure = isCancelled ? .cancelled : slot.overdue(at: now) else { continue }
            end(slot, .failure(failure))
            hasEnded = true
        }
        return hasEnded
    }

    /// Ends what libcurl is through with.
    private func end(_ slot: CurlSlot, _ code: CURLcode) {
        guard let work = slot.work else { return }
        let text = slot.reason(code)
        end(
            slot,
            CurlOutcome.result(code, ended: work.ended, answer: work.answer, isSent: slot.isSent, text: text))
    }

    private func end(_ slot: CurlSlot, _ result: Result<HTTPResponse, HTTPFailure>) {
        _ = unsafe curl_multi_remove_handle(core.multi.raw, slot.easy.raw)
        active.removeAll { $0 === slot }
        let work = slot.finish()
        free.append(slot)
        if let work { answer(work.exchange, result) }
    }

    private func answer(_ exchange: Exchange, _ result: Result<HTTPResponse, HTTPFailure>) {
        log.debug("\(CurlLoop.line(exchange, result))")
        exchange.complete(result)
    }

    /// Method, target, outcome and time; never a field, never a body.
    private static func line(_ exchange: Exchange, _ result: Result<HTTPResponse, HTTPFailure>) -> String {
        let request = exchange.request
        let outcome =
            switch result {
            case .success(let response): "\(response.status)"
            case .failure(let failure): "\(failure)"
            }
        let taken = exchange.began.elapsed.milliseconds
        return "\(request.method.rawValue) \(request.loggedTarget ?? request.target) \(outcome) \(taken) ms"
    }

    /// Until a connection is ready, somebody calls `wake`, or a deadline passes.
    private func sleep(until next: ContinuousDeadline?) {
        let looks = active.compactMap(\.nextLook) + [next, rates?.nextTurn].compactMap { $0 }
        let span = looks.min().map { Int32(clamping: $0.remaining.milliseconds) } ?? Int32.max
        _ = unsafe curl_multi_poll(core.multi.raw, nil, 0, span, nil)
    }
}
