import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// What a service does not take is refused early, by the right errno and with a sentence; every tool notices.
    @Suite("Network refusals") struct NetworkRefusalTests {
        /// Each tool fails, and `mv` keeps its source.
        private func expectRefused(
            _ network: NetworkMount, _ words: String, bytes: Int = 100_000, tools: [CopyingTool] = CopyingTool.allCases
        ) throws {
            let session = network.path(of: "s")
            var random = SeededRandom.forTest("refused")
            let content = random.bytes(bytes)
            for tool in tools {
                let source = "\(network.mounted.base)/source.bin"
                try Sys.write(source, content)
                let finished = try tool.bring(source, into: session)
                #expect(finished.code != 0 && finished.code != 124, "\(finished)")
                #expect(finished.errors.contains(words), "\(finished)")
                demand(try Sys.read(source) == content, "\(tool) lost its source")
            }
        }

        @Test("A file over the service's limit is EFBIG before one of its bytes is sent, and nothing torn arrives")
        func limit() throws {
            try withNetworkMount(NetworkSetup(.opentera, "max_body = \"200KiB\"")) { network in
                let session = try network.makeSession()
                try network.proxy.reset()
                try expectRefused(network, "File too large", bytes: 1 << 20)
                #expect(try network.proxy.log().filter { $0.method == "POST" && $0.target.hasPrefix("/file/") }.isEmpty)
                // What a refused write left is a draft, and its creator may take it away.
                #expect(try Sys.attribute("\(session)/cp-source.bin", "user.fxmount.state") == "draft")
                for name in try Sys.list(session) { #expect(Sys.unlink("\(session)/\(name)") == .ok) }
                try Sys.write("\(session)/fits", [UInt8](repeating: 7, count: 100_000))
                try network.expect(["fits": [UInt8](repeating: 7, count: 100_000)])
            }
            try withNetworkMount(NetworkSetup(.s3), ending: ExitCode.workLeft) { network in
                let session = try network.makeSession()
                try network.proxy.reset()
                let source = "\(network.mounted.base)/huge"
                try sh("truncate -s 6T '\(source)'")
                for tool in [CopyingTool.cp, .mv] {
                    let finished = try tool.bring(source, into: session)
                    #expect(finished.code == 1 && finished.errors.contains("File too large"), "\(finished)")
                    #expect(try Sys.status(source).size == 6 << 40)
                }
                #expect(Sys.truncate("\(session)/cp-huge", 6 << 40) == Outcome(errno: EFBIG))
                #expect(try network.proxy.log().filter { $0.method == "PUT" || $0.method == "POST" }.isEmpty)
                try network.expect([:])
            }
        }

        @Test(
            "A write that failed for its size is not forgotten by a close: no torn file",
            arguments: NetworkKind.allCases.filter { $0.tellsLargestFile || $0 == .s3 })
        func tornBySize(kind: NetworkKind) throws {
            var setup = NetworkSetup(kind)
            setup.largestFile = 200 << 10
            try withNetworkMount(setup, ending: ExitCode.workLeft) { network in
                let session = try network.makeSession()
                let tooFar = kind == .s3 ? 6 << 40 : 1 << 20
                for way in ["write", "truncate", "allocate"] {
                    let file = try Sys.open("\(session)/\(way).bin", O_WRONLY | O_CREAT)
                    #expect(file.write("beginning") == .ok)
                    let refused =
                        switch way {
                        case "write": file.write(Array("end".utf8), at: tooFar)
                        case "truncate": file.truncate(tooFar)
                        default: file.fallocate(0, 0, tooFar)
                        }
                    #expect(refused == Outcome(errno: EFBIG), "\(way)")
                    #expect(file.close() == Outcome(errno: EFBIG), "\(way)")
                    #expect(try Sys.attribute("\(session)/\(way).bin", "user.fxmount.state") == "draft", "\(way)")
                }
                try network.expect([:])
                // Somebody writes it again, within the limit.
                try Sys.write("\(session)/write.bin", "whole")
                try network.expect(["write.bin": Array("whole".utf8)])
            }
        }

        @Test("413 is EFBIG with a sentence that names no wrong limit", arguments: NetworkKind.allCases)
        func contentTooLarge(kind: NetworkKind) throws {
            try withNetworkMount(NetworkSetup(kind)) { network in
                let session = try network.makeSession()
                try network.proxy.rule(network.place.refusingUploads([.init("status", 413), .init("times", 0)]))
                try expectRefused(network, "File too large")
                let file = "\(session)/cp-source.bin"
                #expect(try Sys.attribute(file, "user.fxmount.state") == "failed")
                #expect(network.sentence(file) == "the remote says that the file is too large for it")
                let complete = try network.mounted.fxmount(["session", "complete", session])
                #expect(complete.code == ExitCode.workLeft && complete.errors.contains("cp-source.bin"), "\(complete)")
                // Its bytes are still there, and go when the service takes them.
                try network.proxy.clearRules()
                try network.mounted.fxmount(["retry", session]).expect(ExitCode.ok)
                try network.mounted.fxmount(["wait", session]).expect(ExitCode.ok)
                #expect(try network.files(in: "s").count == CopyingTool.allCases.count)
            }
        }

        @Test("A quota that is used up is EDQUOT", arguments: NetworkKind.allCases.filter(\.hasQuotas))
        func quota(kind: NetworkKind) throws {
            try withNetworkMount(NetworkSetup(kind), ending: ExitCode.workLeft) { network in
                let answer = network.place.quotaAnswer
                let session = try network.makeSession()
                try network.proxy.rule(network.place.refusingUploads(answer + [.init("times", 0)]))
                try expectRefused(network, "Disk quota exceeded")
                #expect(network.sentence("\(session)/cp-source.bin") == "the quota at the remote is used up")
                try network.expect([:])
            }
        }

        @Test(
            "A wrong secret is EACCES with a sentence, and is shown to the service once",
            arguments: NetworkKind.allCases.filter(\.showsSecretsEarly))
        func wrongSecret(kind: NetworkKind) throws {
            var setup = NetworkSetup(kind)
            setup.secret = "not-the-secret"
            try withNetworkMount(setup) { network in
                let parent = network.parent
                let lists = kind.listsSessions ? network.remote : "\(network.remote)/files"
                for _ in 0..<3 {
                    let listed = try run(["ls", lists])
                    #expect(listed.code == 2 && listed.errors.contains("Permission denied"), "\(listed)")
                    let made = try run(["mkdir", "\(parent)/s"])
                    #expect(made.code == 1 && made.errors.contains("Permission denied"), "\(made)")
                }
                #expect(network.sentence(network.remote).contains("refused the credentials"))
                if let tera = network.place as? OpenTeraPlace {
                    #expect(try tera.pair.counter("password_checks") == 1, "a second log-in attempt")
                }
                // Put right, it is used after a retry, without a new mount.
                try Sys.write(network.secretPath, network.place.secret.value)
                try network.mounted.fxmount(["retry", network.mounted.mountpoint]).expect(ExitCode.ok)
                let session = try network.makeSession()
                try Sys.write("\(session)/f.bin", "in")
                try network.expect(["f.bin": Array("in".utf8)])
            }
        }

        @Test(
            "A wrong secret that only an upload shows is EACCES of the file, which goes once the secret is right",
            arguments: NetworkKind.allCases.filter { !$0.showsSecretsEarly })
        func lateSecret(kind: NetworkKind) throws {
            var setup = NetworkSetup(kind)
            setup.secret = "not-the-secret"
            try withNetworkMount(setup) { network in
                let session = try network.makeSession()
                try expectRefused(network, "Permission denied", tools: [.cp, .mv, .rsync])
                #expect(network.sentence("\(session)/cp-source.bin").contains("refused the credentials"))
                try network.expect([:])
                try Sys.write(network.secretPath, network.place.secret.value)
                try network.mounted.fxmount(["retry", network.mounted.mountpoint]).expect(ExitCode.ok)
                try network.mounted.fxmount(["wait", session]).expect(ExitCode.ok)
                let held = try network.files(in: "s")
                #expect(Set(held.keys).isSuperset(of: ["cp-source.bin", "mv-source.bin"]), "\(held.keys)")
                #expect(held.values.allSatisfy { $0.count == 1 })
            }
        }

        @Test("Credentials that die on the way fail the file and not its bytes", arguments: NetworkKind.allCases)
        func deadCredentials(kind: NetworkKind) throws {
            try withNetworkMount(NetworkSetup(kind)) { network in
                let session = try network.makeSession()
                try Sys.write("\(session)/before.bin", "1")
                try network.proxy.rule(.object(network.place.deathAnswer + [.init("times", 0)]))
                try expectRefused(network, "Permission denied", tools: [.cp, .mv, .rsync])
                try network.proxy.clearRules()
                try network.mounted.fxmount(["retry", session]).expect(ExitCode.ok)
                try network.mounted.fxmount(["wait", session]).expect(ExitCode.ok)
                let held = try network.files(in: "s")
                #expect(
                    Set(held.keys).isSuperset(of: ["before.bin", "cp-source.bin", "mv-source.bin"]), "\(held.keys)")
                #expect(held.values.allSatisfy { $0.count == 1 })
            }
        }

        @Test("A session type that is not linked is EACCES with its name, and not a byte is sent")
        func unlinkedType() throws {
            try withNetworkMount(
                NetworkSetup(.opentera, "session_type = \"Données Capteur\"", "listing_ttl = \"1s\""),
                ending: ExitCode.workLeft
            ) { network in
                guard let tera = network.place as? OpenTeraPlace else { throw TestStopped("no pair") }
                let made = try run(["mkdir", network.path(of: "n")])
                #expect(made.code == 1 && made.errors.contains("Permission denied"), "\(made)")
                let sentence =
                    "the session type \"Données Capteur\" is not linked to the file service; an administrator has to link it"
                #expect(network.sentence(network.parent) == sentence)
                _ = try tera.pair.session("s", type: 2)
                #expect(waitUntil(seconds: 30) { Sys.exists(network.path(of: "s")) })
                try network.proxy.reset()
                try expectRefused(network, "Permission denied")
                #expect(network.sentence("\(network.path(of: "s"))/cp-source.bin") == sentence)
                #expect(try network.proxy.log().filter { $0.target == "/file/api/assets" }.isEmpty)
                #expect(try tera.pair.allAssets().isEmpty)
            }
        }

        @Test("A session the service ended takes no file; one it has no more says so")
        func endedSession() throws {
            try withNetworkMount(NetworkSetup(.opentera, "listing_ttl = \"1s\"")) { network in
                guard let tera = network.place as? OpenTeraPlace else { throw TestStopped("no pair") }
                let session = try network.makeSession()
                try Sys.write("\(session)/before.bin", "1")
                let number = try #require(try tera.pair.sessions().first?.id)
                // Terminated there, while the mount still believes it open.
                try tera.pair.seed(["sessions": [["id": .integer(Int64(number)), "status": 4]]])
                let listed = waitUntil(seconds: 30) {
                    _ = try? Sys.list(network.parent)
                    return (try? Sys.attribute(session, "user.fxmount.state")) == "complete"
                }
                #expect(listed)
                try expectRefused(network, "Read-only file system")
                try network.expect(["before.bin": Array("1".utf8)])
            }
        }

        @Test("A failed overwrite leaves what the service had", arguments: NetworkKind.allCases, [403, 413, 400])
        func failedOverwrite(kind: NetworkKind, status: Int) throws {
            try withNetworkMount(NetworkSetup(kind, removing: true)) { network in
                let session = try network.makeSession()
                let old = Array("the old content".utf8)
                try Sys.write("\(session)/f.bin", old)
                try network.expect(["f.bin": old])
                try network.proxy.rule(
                    network.place.refusingUploads([.init("status", .integer(Int64(status))), .init("times", 0)]))
                let source = "\(network.mounted.base)/new.bin"
                try Sys.write(source, "the new content, which is longer")
                let copied = try run(["cp", source, "\(session)/f.bin"])
                #expect(copied.code == 1, "\(copied)")
                try network.expect(["f.bin": old], "after a refused overwrite")
                #expect(try Sys.attribute("\(session)/f.bin", "user.fxmount.state") == "failed")
                let synced = try run(["rsync", "-a", source, "\(session)/f.bin"])
                #expect(synced.code != 0, "\(synced)")
                // At once: the rename that failed has told the kernel nothing of the name's new file.
                #expect(try Sys.attribute("\(session)/f.bin", "user.fxmount.state") == "failed")
                try network.expect(["f.bin": old], "after a refused rsync")
                // A second time as well, although size and time are those of the refused content.
                let again = try run(["rsync", "-a", source, "\(session)/f.bin"])
                #expect(again.code != 0, "\(again)")
                try network.proxy.clearRules()
                try network.mounted.fxmount(["retry", session]).expect(ExitCode.ok)
                try network.mounted.fxmount(["wait", session]).expect(ExitCode.ok)
                try network.expect(["f.bin": try Sys.read(source)], "after a retry")
                // The kernel believes an older answer for a second.
                let time = try Sys.status(source).mtime
                #expect(try waitUntil { try Sys.status("\(session)/f.bin").mtime == time })
            }
        }
    }
}

extension NetworkMount {
    var proxy: ProxyControl { place.proxy }
}
