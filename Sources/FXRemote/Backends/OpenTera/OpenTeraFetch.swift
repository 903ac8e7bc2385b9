internal import FXSystem
internal import Synchronization
internal import SystemPackage

/// One range on its way: first without a thread, and once more on one when that did not do.
///
/// Lock order: `state` and `progress` are leaves; sink and completion run outside of them.
final class OpenTeraFetch: HTTPSink {
    private struct State {
        var call: HTTPCall?
        var isCancelled = false
        /// A thread of its own is at work.
        var isAsking = false
        /// The completion has been called, or somebody is about to.
        var isEnded = false
    }

    private struct Progress {
        var received: UInt64 = 0
        var refusal: RemoteError?
    }

    private let content: OpenTeraContent
    private let range: Range<UInt64>
    private let sink: any ByteSink
    private let completion: @Sendable (Result<Void, RemoteError>) -> Void
    private let state = Mutex(State())
    private let progress = Mutex(Progress())

    init(
        _ content: OpenTeraContent, _ range: Range<UInt64>, _ sink: any ByteSink,
        _ completion: @escaping @Sendable (Result<Void, RemoteError>) -> Void
    ) {
        self.content = content
        self.range = range
        self.sink = sink
        self.completion = completion
    }

    func start() {
        guard let call = content.start(range, into: self, { [self] in ended($0) }) else { return ask() }
        let isCancelled = state.withLock { state in
            state.call = call
            return state.isCancelled
        }
        if isCancelled { call.cancel() }
    }

    func cancel() {
        let (call, isAsking) = state.withLock { state in
            state.isCancelled = true
            return (state.call, state.isAsking)
        }
        call?.cancel()
        // The thread finds out when it has its answer.
        if isAsking { end(.failure(.interrupted)) }
    }

    /// - Returns: false when it had ended.
    private func claimEnd() -> Bool {
        state.withLock { state in
            defer { state.isEnded = true }
            return !state.isEnded
        }
    }

    private func end(_ result: Result<Void, RemoteError>) {
        if claimEnd() { completion(result) }
    }

    // MARK: - Without a thread

    func begin(status: Int, fields: HTTPFields) -> Bool {
        let refusal = content.refusal(status, fields, range)
        progress.withLock { $0.refusal = refusal }
        return refusal == nil
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let fits = progress.withLock { progress in
            progress.received += UInt64(bytes.count)
            if progress.received > range.upperBound - range.lowerBound { progress.refusal = .protocolViolation }
            return progress.refusal == nil
        }
        if !fits { return false }
        if unsafe sink.receive(bytes) { return true }
        progress.withLock { $0.refusal = .interrupted }
        return false
    }

    private func ended(_ result: Result<HTTPResponse, HTTPFailure>) {
        let progress = progress.withLock { $0 }
        switch result {
        case .success(let response) where response.isSuccess:
            let isWhole = progress.received == range.upperBound - range.lowerBound
            end(isWhole ? .success(()) : .failure(.protocolViolation))
        case .success(let response) where response.status == 416:
            end(.failure(.changed))
        case .success:
            // A dead token, or a service that stumbles: nothing has come, so it can be asked for again.
            ask()
        case .failure(let failure):
            end(.failure(progress.refusal ?? failure.remoteError))
        }
    }

    // MARK: - With one

    /// As many threads as ranges are read at once, and only while tokens are renewed.
    private func ask() {
        let isCancelled = state.withLock { state in
            state.isAsking = true
            return state.isCancelled
        }
        if isCancelled { return end(.failure(.interrupted)) }
        do throws(Errno) {
            _ = try ServiceThread(name: "fx-asset") { [self] in deliver() }
        } catch { end(.failure(.local(error, during: .spool))) }
    }

    private func deliver() {
        do throws(RemoteError) {
            let bytes = try content.bytes(range)
            // After this a cancellation comes too late, and the sink is this thread's alone.
            if !claimEnd() { return }
            let isTaken = unsafe bytes.withUnsafeBytes { unsafe sink.receive($0) }
            completion(isTaken ? .success(()) : .failure(.interrupted))
        } catch { end(.failure(error)) }
    }
}
