import FXSystem

/// Which of the two services answers, and what NGINX in front of them adds.
extension OpenTeraState {
    /// One request, carried out.
    mutating func perform(_ call: Call) -> Answer {
        let path = Substring(call.path)
        var answer: Answer
        do throws(Refusal) {
            if path.hasPrefix("/file/") || (settings.direct && path.hasPrefix("/api/assets")) {
                answer = try fileAPI(call, path.hasPrefix("/file/") ? path.dropFirst(6) : path.dropFirst())
            } else if path == "/file" {
                answer = .nginx(301)
                answer.fields.append(("Location", "https://\(settings.serverName)/file/"))
                return answer
            } else if path.hasPrefix("/api/user/") {
                answer = try userAPI(call, path.dropFirst(10))
            } else if path.hasPrefix("/api/participant/") {
                answer = try participantAPI(call, path.dropFirst(17))
            } else if path.hasPrefix("/api/device/") {
                answer = try deviceAPI(call, path.dropFirst(12))
            } else if path == "/about" {
                answer = .html(200, "<!DOCTYPE html>\n<html lang=\"en\">\n<title>About OpenTera</title>\n")
            } else {
                answer = .notFoundPage
            }
        } catch {
            answer = error.answer
        }
        for name in ["Origin", "Headers", "Methods"] { answer.fields.append(("Access-Control-Allow-\(name)", "*")) }
        if !path.hasPrefix("/file/") {
            answer.fields.append(("Cross-Origin-Embedder-Policy", "require-corp"))
            answer.fields.append(("Vary", "Cookie"))
            if answer.status == 401 {
                answer.fields.append(
                    ("Set-Cookie", "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/"))
            }
        }
        return answer
    }

    func isForFileService(_ call: Call) -> Bool {
        call.path.hasPrefix("/file/") || (settings.direct && call.path.hasPrefix("/api/assets"))
    }

    func isUpload(_ call: Call) -> Bool {
        call.method == "POST" && isForFileService(call) && call.path.hasSuffix("/api/assets")
    }

    /// The most a body may have, in bytes.
    func bodyLimit(_ call: Call) -> Int {
        if settings.direct { return .max }
        return isForFileService(call) ? settings.bodyLimit : settings.otherBodyLimit
    }

    mutating func record(_ call: Call, status: Int) {
        count("requests")
        let number = counters["requests"] ?? 0
        if log.count >= OpenTeraState.longestLog { log.removeFirst(OpenTeraState.longestLog / 2) }
        log.append(
            LoggedRequest(
                number: number, method: call.method, target: OpenTeraState.withoutSecrets(call), status: status,
                sent: call.body.count))
    }

    private static func withoutSecrets(_ call: Call) -> String {
        if call.query.isEmpty { return call.path }
        let query = call.query.map { name, value in
            name.hasSuffix("token") && value.contains(".") ? "\(name)=(secret)" : "\(name)=\(value)"
        }
        return "\(call.path)?\(query.joined(separator: "&"))"
    }
}
