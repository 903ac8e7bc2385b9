internal import FXSystem

/// `fxmount remote test`: what a person has to know before the first file is sent.
extension OpenTeraService {
    public func examine() -> [ServiceFinding] {
        // Somebody asked: a password that was refused is tried once more.
        client.reconsider()
        var findings: [ServiceFinding] = []
        for step in [credentials, fileServiceVisible, sessionType, projectsVisible] {
            do throws(RemoteError) { findings.append(try step()) } catch {
                let subject = ["credentials", "file service", "session type", "projects"][findings.count]
                findings.append(.failure(subject, error))
                // Without a login nothing more can be learnt; without the rest a little.
                if findings.count == 1 { return findings }
            }
        }
        return findings + [limits]
    }

    private func credentials() throws(RemoteError) -> ServiceFinding {
        let answer = try client.main(.get, "/api/user/versions")
        let version = answer.response.isSuccess ? answer.value?["version_string"]?.string : nil
        let words = version.map { " at " + displayed(Array($0.utf8)) } ?? ""
        return ServiceFinding(.works, "credentials", "logged in as \(configuration.username)\(words)")
    }

    private func fileServiceVisible() throws(RemoteError) -> ServiceFinding {
        guard let service = try client.visibleFileService() else {
            return ServiceFinding(
                .fails, "file service",
                "this account does not see the file transfer service; an administrator has to associate it with the "
                    + "account's site and project")
        }
        return ServiceFinding(.works, "file service", "found at \(service.endpoint)")
    }

    private func sessionType() throws(RemoteError) -> ServiceFinding {
        guard let name = configuration.sessionType else {
            return ServiceFinding(
                .warning, "session type",
                "none is configured, so mkdir cannot open sessions; set session_type, or make them at the service")
        }
        _ = try linkedType(named: name)
        return ServiceFinding(.works, "session type", "\"\(name)\" is linked to the file service")
    }

    private func projectsVisible() throws(RemoteError) -> ServiceFinding {
        let projects = try list(.root)
        if projects.isEmpty {
            return ServiceFinding(
                .fails, "projects", "this account sees no project; an administrator has to give it access to one")
        }
        return ServiceFinding(.works, "projects", "\(projects.count) visible")
    }

    private var limits: ServiceFinding {
        let limit = facts.maximumFileSize ?? .zero
        return ServiceFinding(
            .works, "limits",
            "files up to \(limit), from the configuration; the service tells of no limit. "
                + (configuration.allowsDelete
                    ? "Replaced files are removed." : "Nothing is removed: a replaced file stays under a further name.")
        )
    }
}
