import FXSystem
import Foundation
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// What a session was, in writing, where the files are at a service: receipts and verification.
    @Suite("Network receipts and verification") struct NetworkProofTests {
        /// - Parameter listing: how old a listing may be.
        private func withCommitted(
            _ kind: NetworkKind, listing: String = "10m",
            _ body: (NetworkMount, String, [String: [UInt8]]) throws -> Void
        ) throws {
            var random = SeededRandom.forTest("networkProofs")
            let contents: [String: [UInt8]] = [
                "first.bin": Array("first".utf8), "empty.bin": [], "more.bin": random.bytes(300_000),
            ]
            try withNetworkMount(NetworkSetup(kind, "listing_ttl = \"\(listing)\"")) { network in
                let session = try network.makeSession()
                for (name, bytes) in contents { try Sys.write("\(session)/\(name)", bytes) }
                try body(network, session, contents)
            }
        }

        @Test("The receipt has size, SHA-256 and the service's id of every file", arguments: NetworkKind.allCases)
        func receipt(kind: NetworkKind) throws {
            try withCommitted(kind) { network, session, contents in
                let written = try network.mounted.fxmount(["session", "receipt", session]).expect(ExitCode.ok)
                let receipt = try #require(JSONValue(parsing: written.output), "\(written)")
                #expect(receipt["kind"]?.string == kind.rawValue)
                #expect(receipt["remote"]?.string == "net")
                #expect(receipt["state"]?.string == "open")
                #expect(receipt["totals"]?["files"]?.integer == 3)
                #expect(receipt["totals"]?["bytes"]?.integer == 300_005)
                #expect(receipt["totals"]?["unfinished"]?.integer == 0)
                let files = try #require(receipt["files"]?.elements)
                #expect(files.compactMap { $0["path"]?.string }.sorted() == contents.keys.sorted())
                for file in files {
                    let path = try #require(file["path"]?.string)
                    let bytes = try #require(contents[path])
                    #expect(file["size"]?.integer == Int64(bytes.count), "\(path)")
                    #expect(file["sha256"]?.string == sha256Text(bytes), "\(path)")
                    #expect(file["committed_at"]?.string != nil, "\(path)")
                    let id = try #require(file["remote_id"]?.string, "\(path)")
                    #expect(try Sys.attribute("\(session)/\(path)", "user.fxmount.remote_id") == id)
                    if let known = try serviceID(of: path, network) {
                        #expect(id == known, "\(path)")
                    } else {
                        // An entity tag and the key.
                        #expect(id.hasSuffix("/s/\(path)"), "\(path): \(id)")
                        #expect(file["url"]?.string?.hasSuffix("/s/\(path)") == true, "\(path)")
                    }
                }
            }
        }

        /// What the service itself calls a file of the session; nil of one that has no other name than its path.
        private func serviceID(of path: String, _ network: NetworkMount) throws -> String? {
            switch network.place {
            case let place as OpenTeraPlace:
                return try place.pair.assets().first { $0.name == path }.map { "asset/\($0.uuid)" } ?? "none"
            case let place as TusPlace:
                let upload = try place.service.uploads().first { $0.metadata["relativePath"] == "s/\(path)" }
                return upload?.target ?? "none"
            case let place as MFTPlace:
                let files = try place.vault.groups(withDigests: false).flatMap(\.files)
                return files.first { $0.name == path }.map { "file/\($0.id)" } ?? "none"
            case let place as ItslearningPlace:
                return try place.streams.files().first { $0.name == path }?.id ?? "none"
            default: return nil
            }
        }

        @Test(
            "What was committed is verified by what the service says of it, and by reading it back",
            arguments: NetworkKind.allCases.filter(\.readsBack))
        func sound(kind: NetworkKind) throws {
            try withCommitted(kind) { network, session, _ in
                try release(session, of: network, kind)
                let quick = try network.mounted.fxmount(["session", "verify", session]).expect(ExitCode.ok)
                #expect(quick.output.contains("3 files looked at, all as they were sent"), "\(quick)")
                let thorough = try network.mounted.fxmount(["session", "verify", session, "--read"]).expect(ExitCode.ok)
                #expect(thorough.output.contains("3 files read back and hashed, all as they were sent"), "\(thorough)")
                let ways: [(words: [String], method: String)] = [
                    ([], kind.listsSessions ? "listing" : "each"), (["--read"], "content"),
                ]
                for (words, method) in ways {
                    let written = try verify(session, of: network, words).expect(ExitCode.ok)
                    let report = try #require(JSONValue(parsing: written.output), "\(written)")
                    #expect(report["method"]?.string == method)
                    #expect(report["state"]?.string == "done")
                    #expect(report["files"]?.integer == 3 && report["checked"]?.integer == 3, "\(written)")
                    #expect(report["bytes_checked"]?.integer == 300_005, "\(written)")
                    #expect(report["problem_count"]?.integer == 0, "\(written)")
                    #expect(report["problems"]?.elements?.isEmpty == true, "\(written)")
                    #expect(report["unknown_files"]?.integer == 0, "\(written)")
                }
            }
        }

        @Test(
            "What was changed or removed at the service is named with exit 24",
            arguments: NetworkKind.allCases.filter(\.readsBack))
        func changed(kind: NetworkKind) throws {
            try withCommitted(kind) { network, session, _ in
                try release(session, of: network, kind)
                try verify(session, of: network).expect(ExitCode.ok)
                let harmed = try harm(network)
                let quick = try verify(session, of: network)
                #expect(quick.code == ExitCode.verification, "\(quick)")
                #expect(try problems(quick).keys.sorted() == harmed.keys.sorted())
                // What each is called is certain where the service lists what it has.
                if kind.listsSessions { #expect(try problems(quick) == harmed) }
                let person = try network.mounted.fxmount(["session", "verify", session])
                #expect(person.code == ExitCode.verification && person.errors.contains(" of 3 files "), "\(person)")
                for name in harmed.keys { #expect(person.output.contains("\(name) "), "\(person)") }
                let thorough = try verify(session, of: network, ["--read"])
                #expect(thorough.code == ExitCode.verification, "\(thorough)")
                #expect(try problems(thorough).keys.sorted() == harmed.keys.sorted())
            }
        }

        @Test(
            "A change that the mount has already shown in a listing is one all the same",
            arguments: NetworkKind.allCases.filter(\.listsSessions))
        func shown(kind: NetworkKind) throws {
            try withCommitted(kind, listing: "100ms") { network, session, contents in
                _ = try harm(network)
                let isShown = waitUntil(seconds: 20) {
                    _ = try? Sys.list(session)
                    // It is gone there, or the other one has been made shorter.
                    return !Sys.exists("\(session)/first.bin") || (try? Sys.status("\(session)/more.bin").size) == 3
                }
                #expect(isShown)
                let found = try verify(session, of: network)
                let receipt = try network.mounted.fxmount(["session", "receipt", session])
                #expect(found.code == ExitCode.verification, "\(found)")
                for (name, bytes) in contents {
                    #expect(receipt.output.contains(sha256Text(bytes)), "the receipt has lost \(name)")
                }
            }
        }

        @Test(
            "A service that gives nothing back has nothing verified",
            arguments: NetworkKind.allCases.filter { !$0.readsBack })
        func blind(kind: NetworkKind) throws {
            try withCommitted(kind) { network, session, _ in
                for words in [[], ["--read"]] {
                    let verified = try verify(session, of: network, words)
                    #expect(verified.code != ExitCode.ok, "\(verified)")
                    #expect(verified.code != ExitCode.usage, "\(verified)")
                }
            }
        }

        // MARK: - Steps

        /// mft gives files out when their session is complete and it is through with them (M4, M7).
        private func release(_ session: String, of network: NetworkMount, _ kind: NetworkKind) throws {
            if kind.readsOpenSessions { return }
            try network.mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
            #expect(waitUntil(seconds: 30) { network.isProcessed(session) })
        }

        @discardableResult
        private func verify(_ session: String, of network: NetworkMount, _ words: [String] = []) throws -> Finished {
            try network.mounted.fxmount(["session", "verify", session, "--json"] + words)
        }

        private func problems(_ result: Finished) throws -> [String: String] {
            let list = try #require(JSONValue(parsing: result.output)?["problems"]?.elements, "\(result)")
            return Dictionary(
                uniqueKeysWithValues: list.map { ($0["path"]?.string ?? "", $0["problem"]?.string ?? "") })
        }

        /// Somebody else works at the service.
        /// - Returns: what is to be found, by the file.
        private func harm(_ network: NetworkMount) throws -> [String: String] {
            switch network.place {
            case let place as S3Place:
                try place.put("s/first.bin", Array("FIRST".utf8))
                try place.put("s/more.bin", [1, 2, 3])
                return ["first.bin": "replaced", "more.bin": "size"]
            case let place as OpenTeraPlace:
                try remove("first.bin", from: place.pair)
                return ["first.bin": "missing"]
            case let place as TusPlace:
                let upload = try #require(
                    try place.service.uploads().first { $0.metadata["relativePath"] == "s/first.bin" })
                let answer = try place.service.http.request(
                    "DELETE", upload.target,
                    fields: [("Authorization", "Bearer \(place.secret.value)"), ("Tus-Resumable", "1.0.0")])
                #expect(answer.status == 204, "\(answer.text)")
                return ["first.bin": "missing"]
            case let place as MFTPlace:
                try place.vault.set(["sanitizes": true])
                return ["first.bin": "size", "empty.bin": "size", "more.bin": "size"]
            default: throw TestStopped("nobody can change anything at this service")
            }
        }

        /// What a person does in a browser.
        private func remove(_ name: String, from pair: OpenTeraControl) throws {
            let account = Data("\(OpenTeraControl.username):\(OpenTeraControl.password)".utf8).base64EncodedString()
            let login = try pair.http.get("/api/user/login", fields: [("Authorization", "Basic \(account)")])
            let token = try #require(login.json?["user_token"]?.string, "\(login.text)")
            let authorization = ("Authorization", "OpenTera \(token)")
            let asset = try #require(try pair.assets().first { $0.name == name })
            let target = "/api/user/assets?id_session=\(asset.session)&with_urls=1"
            let records = try pair.http.get(target, fields: [authorization]).json?.elements ?? []
            let record = try #require(records.first { $0["asset_uuid"]?.string == asset.uuid })
            let body: JSONValue = ["uuid": .string(asset.uuid), "access_token": record["access_token"] ?? .null]
            let answer = try pair.http.request(
                "DELETE", "/file/api/assets", fields: [authorization, ("Content-Type", "application/json")],
                body: Array(body.text.utf8))
            #expect(answer.status == 200, "\(answer.text)")
        }
    }
}
