internal import FXSystem

/// `fxmount remote test`: what a person has to know before the first file is sent.
extension ItslearningService {
    public func examine() -> [ServiceFinding] {
        reconsider()
        var findings: [ServiceFinding] = []
        do throws(ItslearningFailure) { findings.append(try credentials()) } catch {
            findings.append(.failure("credentials", error.error))
            return findings
        }
        findings.append(streaming())
        if configuration.publication != nil { findings.append(publishing()) }
        return findings + [limits]
    }

    /// The service names its extensions to whom it knows.
    private func credentials() throws(ItslearningFailure) -> ServiceFinding {
        let answer = try client.call("GetExtensions")
        let wanted = String(configuration.extensionID)
        let known = answer.findAll("ExtensionId") + answer.findAll("Id")
        let isListed = known.contains { $0.text.trimmed == wanted }
        if !known.isEmpty, !isListed {
            return ServiceFinding(
                .warning, "credentials",
                "\(configuration.username) is known, and the service lists no extension \(wanted); \(ItslearningService.fileHint)"
            )
        }
        return ServiceFinding(.works, "credentials", "\(configuration.username) is known to the service")
    }

    private static let fileHint = "set extension_id (5009 is File)"

    /// Only a file shows whether an extension takes files.
    private func streaming() -> ServiceFinding {
        let subject = "extension \(configuration.extensionID)"
        do throws(ItslearningFailure) {
            let id = try sendTrial()
            return ServiceFinding(
                .works, subject,
                "took a test file of a few bytes as \(id.onOneLine), which goes by itself after 14 days")
        } catch {
            switch error.fault {
            case .client(let words), .service(let words):
                return .failure(subject, .wrongExtension(configuration.extensionID, words))
            default: return .failure(subject, error.error)
            }
        }
    }

    private func publishing() -> ServiceFinding {
        do throws(RemoteError) {
            let number = try messageType()
            return ServiceFinding(
                .works, "publication", "\(ItslearningService.creation) is message \(number) here; nothing was published"
            )
        } catch { return .failure("publication", error) }
    }

    private var limits: ServiceFinding {
        let limit = facts.maximumFileSize ?? .zero
        let end =
            configuration.publication == nil
            ? "Nothing is published: a file nobody uses goes after 14 days."
            : "Each file is published, and a file that replaces another is published beside it."
        return ServiceFinding(.works, "limits", "files up to \(limit), no programs, no files without an ending. \(end)")
    }
}
