internal import CCurl
internal import FXSystem

/// Sets the options of a handle.
@safe
struct CurlSetter: ~Copyable {
    private let raw: UnsafeMutableRawPointer

    init(_ easy: borrowing EasyHandle) { unsafe raw = easy.raw }

    /// Bytes libcurl takes from a connection, or from a body, at once: a chunk of 8 MiB in 32 calls.
    private static let bufferBytes = 256 << 10
    /// Seconds after which a silent connection is probed, and between the probes.
    private static let keepAlive = 30

    /// False when one is refused.
    func apply(_ request: HTTPRequest, _ origin: HTTPOrigin, _ options: HTTPOptions) -> Bool {
        let isGood = [
            text(CURLOPT_URL, origin.root + "/"),
            // Sent as it is: nothing in it is taken for a host, nothing in it is tidied up.
            text(CURLOPT_REQUEST_TARGET, request.target),
            unsafe fx_curl_only_http(raw) == CURLE_OK,
            number(CURLOPT_FOLLOWLOCATION, 0),
            text(CURLOPT_PROXY, ""),
            number(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue)),
            number(CURLOPT_NOSIGNAL, 1),
            unsafe fx_curl_quick_exit(raw) == CURLE_OK,
            number(CURLOPT_TCP_KEEPALIVE, 1),
            number(CURLOPT_TCP_KEEPIDLE, CurlSetter.keepAlive),
            number(CURLOPT_TCP_KEEPINTVL, CurlSetter.keepAlive),
            number(CURLOPT_BUFFERSIZE, CurlSetter.bufferBytes),
            number(CURLOPT_UPLOAD_BUFFERSIZE, CurlSetter.bufferBytes),
            number(CURLOPT_CONNECTTIMEOUT_MS, max(1, request.deadlines.connect.milliseconds)),
            text(CURLOPT_USERAGENT, options.userAgent),
            security(origin, options),
            body(request),
        ]
        return !isGood.contains(false)
    }

    private func security(_ origin: HTTPOrigin, _ options: HTTPOptions) -> Bool {
        // Without TLS nobody could agree on HTTP/2; asking for it would only make connections wait for each other.
        // Under a limit each exchange has a connection of its own: who waits for its turn holds up nobody.
        let sharesConnections = origin.scheme == .https && options.bytesPerSecond == nil
        let version = sharesConnections ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1
        var isGood =
            number(CURLOPT_HTTP_VERSION, Int(version))
            && number(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
            && number(CURLOPT_SSL_VERIFYPEER, options.insecure ? 0 : 1)
            && number(CURLOPT_SSL_VERIFYHOST, options.insecure ? 0 : 2)
        if let file = options.caFile {
            // In the place of the system's authorities, not beside them.
            let hasNoDirectory = unsafe fx_curl_set_text(raw, CURLOPT_CAPATH, nil) == CURLE_OK
            isGood = text(CURLOPT_CAINFO, file) && hasNoDirectory && isGood
        }
        return isGood
    }

    private func body(_ request: HTTPRequest) -> Bool {
        let count = request.body.count
        switch request.method {
        case .head: return number(CURLOPT_NOBODY, 1)
        case .get where count == 0: return number(CURLOPT_HTTPGET, 1)
        case .delete where count == 0, .options where count == 0:
            return number(CURLOPT_HTTPGET, 1) && text(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        default:
            return number(CURLOPT_UPLOAD, 1) && text(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
                && size(CURLOPT_INFILESIZE_LARGE, Int64(clamping: count))
        }
    }

    /// - Parameter slot: a `CurlSlot`, at a place that stays.
    func callbacks(_ slot: UnsafeMutableRawPointer, errorText: UnsafeMutablePointer<CChar>) -> Bool {
        let isGood = [
            unsafe pointer(CURLOPT_ERRORBUFFER, UnsafeMutableRawPointer(errorText)),
            unsafe pointer(CURLOPT_PRIVATE, slot), unsafe pointer(CURLOPT_WRITEDATA, slot),
            unsafe pointer(CURLOPT_HEADERDATA, slot), unsafe pointer(CURLOPT_READDATA, slot),
            unsafe pointer(CURLOPT_SEEKDATA, slot), unsafe pointer(CURLOPT_XFERINFODATA, slot),
            unsafe pointer(CURLOPT_PREREQDATA, slot), number(CURLOPT_NOPROGRESS, 0),
            unsafe fx_curl_set_transfer(raw, CURLOPT_WRITEFUNCTION, takeBody) == CURLE_OK,
            unsafe fx_curl_set_transfer(raw, CURLOPT_HEADERFUNCTION, takeLine) == CURLE_OK,
            unsafe fx_curl_set_transfer(raw, CURLOPT_READFUNCTION, giveBody) == CURLE_OK,
            unsafe fx_curl_set_seek(raw, seekBody) == CURLE_OK,
            unsafe fx_curl_set_progress(raw, noteProgress) == CURLE_OK,
            unsafe fx_curl_set_prerequest(raw, beginAttempt) == CURLE_OK,
        ]
        return !isGood.contains(false)
    }

    func list(_ option: CURLoption, _ head: UnsafeMutablePointer<curl_slist>?) -> Bool {
        unsafe fx_curl_set_list(raw, option, head) == CURLE_OK
    }

    private func text(_ option: CURLoption, _ value: String) -> Bool {
        unsafe fx_curl_set_text(raw, option, value) == CURLE_OK
    }

    private func number(_ option: CURLoption, _ value: Int) -> Bool {
        unsafe fx_curl_set_long(raw, option, value) == CURLE_OK
    }

    private func size(_ option: CURLoption, _ value: Int64) -> Bool {
        unsafe fx_curl_set_size(raw, option, curl_off_t(value)) == CURLE_OK
    }

    private func pointer(_ option: CURLoption, _ value: UnsafeMutableRawPointer) -> Bool {
        unsafe fx_curl_set_pointer(raw, option, value) == CURLE_OK
    }
}

extension Duration {
    /// Whole milliseconds, rounded up, so that nothing ends early.
    var milliseconds: Int {
        let parts = components
        let rounded = (parts.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        // 24 days: what libcurl can hold.
        return Int(clamping: min(parts.seconds, 2_000_000) * 1000 + rounded)
    }
}

private func slot(_ raw: UnsafeMutableRawPointer?) -> CurlSlot? {
    unsafe raw.map { unsafe Unmanaged<CurlSlot>.fromOpaque($0).takeUnretainedValue() }
}

private func takeBody(_ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ raw: UnsafeMutableRawPointer?)
    -> Int
{
    let piece = unsafe slot(raw)?.receive(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? .refused
    return switch piece {
    case .moved(let moved): moved
    case .later: Int(CURL_WRITEFUNC_PAUSE)
    // Anything but the count is an error to libcurl.
    case .refused: Int(CURL_WRITEFUNC_ERROR)
    }
}

private func takeLine(_ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ raw: UnsafeMutableRawPointer?)
    -> Int
{
    let isTaken = unsafe slot(raw)?.receive(line: UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? false
    return isTaken ? size * count : Int(CURL_WRITEFUNC_ERROR)
}

private func giveBody(_ space: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ raw: UnsafeMutableRawPointer?)
    -> Int
{
    let piece =
        unsafe slot(raw)?.readBody(into: UnsafeMutableRawBufferPointer(start: space, count: size * count)) ?? .refused
    return switch piece {
    case .moved(let moved): moved
    case .later: Int(CURL_READFUNC_PAUSE)
    case .refused: Int(CURL_READFUNC_ABORT)
    }
}

private func seekBody(_ raw: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    // libcurl uses SEEK_SET only.
    unsafe slot(raw)?.moveBody(to: Int64(offset)) == true ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
}

private func noteProgress(
    _ raw: UnsafeMutableRawPointer?, _ toReceive: curl_off_t, _ received: curl_off_t, _ toSend: curl_off_t,
    _ sent: curl_off_t
) -> Int32 {
    unsafe slot(raw)?.progress(received: Int64(received), sent: Int64(sent))
    return 0
}

private func beginAttempt(
    _ raw: UnsafeMutableRawPointer?, _ remote: UnsafeMutablePointer<CChar>?, _ local: UnsafeMutablePointer<CChar>?,
    _ remotePort: Int32, _ localPort: Int32
) -> Int32 {
    unsafe slot(raw)?.beginAttempt() == true ? Int32(CURL_PREREQFUNC_OK) : Int32(CURL_PREREQFUNC_ABORT)
}
