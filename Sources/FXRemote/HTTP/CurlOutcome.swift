internal import CCurl
internal import SystemPackage

/// The one place that says what a result of libcurl means.
enum CurlOutcome {
    /// - Parameters:
    ///   - ended: why our side ended the exchange, if it did.
    ///   - isSent: whether anything of the request was given to the network.
    static func result(
        _ code: CURLcode, ended: AnswerCollector.Verdict?, answer: AnswerCollector, isSent: Bool, text: String
    ) -> Result<HTTPResponse, HTTPFailure> {
        switch ended {
        case .fail(let failure): return .failure(failure)
        case .enough: return .success(answer.response)
        case .goOn, nil: break
        }
        if code == CURLE_OK {
            // libcurl takes the end of the connection for the end of the fields.
            return answer.hasHead ? .success(answer.response) : .failure(.cut(isSent: isSent))
        }
        // A service that refuses does not have to read the rest of the request, nor to finish its sentence.
        if answer.isRefusal { return .success(answer.response) }
        return .failure(failure(code, isSent: isSent, text: text))
    }

    private static func failure(_ code: CURLcode, isSent: Bool, text: String) -> HTTPFailure {
        switch code {
        case CURLE_OPERATION_TIMEDOUT: .timedOut(isSent: isSent)
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_PROXY: .unreachable(text)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CERTPROBLEM,
            CURLE_SSL_CIPHER, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_CLIENTCERT,
            CURLE_USE_SSL_FAILED, CURLE_SSL_ENGINE_INITFAILED:
            .untrusted(text)
        // The same code for a handshake that was refused and one that was cut.
        case CURLE_SSL_CONNECT_ERROR: isCut(text) ? .unreachable(text) : .untrusted(text)
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING:
            .nonsense(text)
        case CURLE_OUT_OF_MEMORY: .unreadable(.local(.noMemory, during: .spool))
        default: isSent ? .cut(isSent: true) : .unreachable(text)
        }
    }

    private static func isCut(_ text: String) -> Bool {
        let lowered = text.lowercased()
        return ["syscall", "reset by peer", "broken pipe", "unexpected eof", "unknown error"]
            .contains { lowered.contains($0) }
    }
}
