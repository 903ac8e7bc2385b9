internal import CCurl

/// Owners of what libcurl allocates.
enum CurlLibrary {
    /// Initialised once for the process; false when libcurl cannot work here.
    static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}

/// One easy handle: a place for one exchange at a time.
@safe
struct EasyHandle: ~Copyable {
    let raw: UnsafeMutableRawPointer

    init?() {
        guard let raw = unsafe curl_easy_init() else { return nil }
        unsafe self.raw = raw
    }

    deinit { unsafe curl_easy_cleanup(raw) }
}

/// One multi handle: the connections and what happens on them.
///
/// `@unchecked Sendable`: libcurl allows `curl_multi_wakeup` from any thread; everything else is done by the one thread
/// that runs `CurlLoop`, and the end by whoever drops the last reference after that thread has let go of it.
@safe
struct MultiHandle: ~Copyable, @unchecked Sendable {
    let raw: UnsafeMutableRawPointer

    init?() {
        guard let raw = unsafe curl_multi_init() else { return nil }
        unsafe self.raw = raw
    }

    deinit { unsafe curl_multi_cleanup(raw) }

    /// Ends the sleep of the transport's thread, or its next one. Any thread.
    func wake() { _ = unsafe curl_multi_wakeup(raw) }
}

/// The lines of a request's fields.
@safe
struct FieldLines: ~Copyable {
    private(set) var head: UnsafeMutablePointer<curl_slist>?

    init() { unsafe head = nil }

    /// False when there is no memory.
    mutating func append(_ line: String) -> Bool {
        guard let longer = unsafe curl_slist_append(head, line) else { return false }
        unsafe head = longer
        return true
    }

    deinit { unsafe curl_slist_free_all(head) }
}
