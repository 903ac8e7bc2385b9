internal import CCurl
internal import FXSystem

/// A place for one exchange at a time, used again and again. Belongs to the transport's thread.
///
/// libcurl keeps the address of the slot and of `errorText` while an exchange is under way; the loop holds every slot
/// until its own end.
@safe
final class CurlSlot {
    let easy: EasyHandle
    /// Different for every slot of a transport.
    let number: SharedRate.Member
    /// nil without a limit.
    private let rates: TransferRates?
    private let errorText: UnsafeMutablePointer<CChar>
    private var lines = FieldLines()
    private(set) var work: Work?

    /// What belongs to the exchange under way.
    struct Work {
        let exchange: Exchange
        var answer: AnswerCollector
        var body: BodyReader
        /// Why our side ended it.
        var ended: AnswerCollector.Verdict?
        /// How often the request was about to be sent.
        var attempts = 0
        var silence: Silence
        /// What libcurl counted when it was last asked: received and sent.
        var counted: (Int64, Int64) = (0, 0)

        /// Its body is a part of a file.
        var sendsContent: Bool { if case .content = exchange.request.body { true } else { false } }
        /// Its answer is a part of a file.
        var receivesContent: Bool {
            let request = exchange.request
            return request.sink != nil && !request.sinkTakesWords || request.fields["Range"] != nil
        }
    }

    /// What became of a piece of a body.
    enum Piece {
        /// So many bytes of it.
        case moved(Int)
        /// It has to wait for its turn; `resume` goes on with it.
        case later
        /// The exchange has to end.
        case refused
    }

    init?(_ number: SharedRate.Member, _ rates: TransferRates?) {
        guard let easy = EasyHandle() else { return nil }
        self.easy = easy
        self.number = number
        self.rates = rates
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit { unsafe errorText.deallocate() }

    /// Prepares the handle; false when libcurl refuses an option or has no memory.
    func prepare(_ exchange: Exchange, _ origin: HTTPOrigin, _ options: HTTPOptions) -> Bool {
        let request = exchange.request
        work = Work(
            exchange: exchange, answer: AnswerCollector(collects: request.collects, sink: request.sink),
            body: BodyReader(request.body),
            silence: Silence(
                limit: min(request.deadlines.idle, options.longestSilence ?? request.deadlines.idle), now: .now()))
        unsafe errorText[0] = 0
        lines = FieldLines()
        var isGood = true
        for line in CurlSlot.fieldLines(of: request) where !lines.append(line) { isGood = false }
        unsafe curl_easy_reset(easy.raw)
        let setter = CurlSetter(easy)
        isGood = setter.apply(request, origin, options) && isGood
        isGood = unsafe setter.list(CURLOPT_HTTPHEADER, lines.head) && isGood
        isGood = unsafe setter.callbacks(Unmanaged.passUnretained(self).toOpaque(), errorText: errorText) && isGood
        return isGood
    }

    /// Ends the work here; the handle is free then.
    func finish() -> Work? {
        defer { work = nil }
        rates?.leave(number)
        return work
    }

    /// Whether a byte of the request was given to the network.
    var isSent: Bool {
        var count = 0
        _ = unsafe fx_curl_get_long(easy.raw, CURLINFO_REQUEST_SIZE, &count)
        return count > 0
    }

    /// What libcurl says about the failure.
    func reason(_ code: CURLcode) -> String {
        let own = unsafe String(cString: errorText)
        return own.isEmpty ? unsafe String(cString: curl_easy_strerror(code)) : own
    }

    /// Looks at the deadlines; why the exchange has to end, if so.
    func overdue(at now: ContinuousDeadline) -> HTTPFailure? {
        guard let work else { return nil }
        if let end = work.exchange.end, end <= now { return .timedOut(isSent: isSent) }
        // Who waits for its turn here is not silent.
        if rates?.isWaiting(number) == true { self.work?.silence.moved(at: now) }
        if work.silence.wantsSample(at: now) { self.work?.silence.sample(SocketCount.bytes(of: easy), at: now) }
        return self.work?.silence.isOver(at: now) == true ? .timedOut(isSent: isSent) : nil
    }

    /// Goes on with what had to wait for its turn, perhaps by receiving on the spot.
    /// - Returns: anything but success when the exchange has to end; success when libcurl is through with it already.
    func resume() -> CURLcode {
        let code = unsafe curl_easy_pause(easy.raw, Int32(CURLPAUSE_RECV_CONT | CURLPAUSE_SEND_CONT))
        // It has no connection any more: how it ended comes as a message.
        return code == CURLE_BAD_FUNCTION_ARGUMENT ? CURLE_OK : code
    }

    /// When to call `overdue` again.
    var nextLook: ContinuousDeadline? {
        guard let work else { return nil }
        let look = work.silence.nextLook
        return work.exchange.end.map { min($0, look) } ?? look
    }

    private static func fieldLines(of request: HTTPRequest) -> [String] {
        var lines = request.fields.fields.map { name, value in
            // libcurl's spelling of a field without a value; with a colon it would take the field out.
            value.allSatisfy { $0 == " " || $0 == "\t" } ? "\(name);" : "\(name): \(value)"
        }
        // libcurl would wait for leave to send bodies of more than 1 MiB.
        if request.fields["Expect"] == nil { lines.append("Expect:") }
        return lines
    }
}

/// What libcurl calls, on the transport's thread.
extension CurlSlot {
    /// A piece of the body, to be taken as a whole.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Piece {
        let now = ContinuousDeadline.now()
        work?.silence.moved(at: now)
        if let rates, work?.receivesContent == true, bytes.count > 0, !rates.allowsReceiving(number, at: now) {
            return .later
        }
        rates?.received(bytes.count, by: number)
        guard let verdict = unsafe work?.answer.take(bytes) else { return .refused }
        return goesOn(verdict) ? .moved(bytes.count) : .refused
    }

    func receive(line bytes: UnsafeRawBufferPointer) -> Bool {
        work?.silence.moved(at: .now())
        let line = unsafe String(decoding: bytes, as: UTF8.self)
        guard let verdict = work?.answer.take(line: line, count: bytes.count) else { return false }
        return goesOn(verdict)
    }

    private func goesOn(_ verdict: AnswerCollector.Verdict) -> Bool {
        if verdict == .goOn { return true }
        work?.ended = verdict
        return false
    }

    /// Fills some of `buffer` with what comes next of the body.
    func readBody(into buffer: UnsafeMutableRawBufferPointer) -> Piece {
        let now = ContinuousDeadline.now()
        work?.silence.moved(at: now)
        var room = buffer.count
        if let rates, work?.sendsContent == true { room = min(room, rates.allowanceToSend(number, at: now)) }
        if room == 0, buffer.count > 0 { return .later }
        do throws(RemoteError) {
            let place = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<room])
            guard let count = try unsafe work?.body.read(into: place) else { return .refused }
            rates?.sent(count, by: number)
            return .moved(count)
        } catch {
            work?.ended = .fail(.unreadable(error))
            return .refused
        }
    }

    func moveBody(to position: Int64) -> Bool {
        UInt64(exactly: position).flatMap { work?.body.move(to: $0) } ?? false
    }

    func progress(received: Int64, sent: Int64) {
        guard let work, work.counted != (received, sent) else { return }
        self.work?.counted = (received, sent)
        self.work?.silence.moved(at: .now())
    }

    /// The request is about to be sent; false ends the exchange.
    ///
    /// libcurl sends a request again by itself when a connection that was used before ends without an answer. That is
    /// right only where a repetition does nothing more: the service may have acted and been cut off while it answered.
    func beginAttempt() -> Bool {
        guard let work else { return false }
        self.work?.attempts += 1
        if work.attempts > 0 {
            if isSent, !work.exchange.request.method.isIdempotent {
                self.work?.ended = work.answer.isRefusal ? .enough : .fail(.cut(isSent: true))
                return false
            }
            self.work?.answer.beginAnew()
        }
        return true
    }
}
