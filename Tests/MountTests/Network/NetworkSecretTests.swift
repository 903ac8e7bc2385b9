import CSyscalls
import FXSystem
import Foundation
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// A secret never stands in a log, on a command line, in `.fxmount`, in an attribute or in the state directory
    /// (docs/cli.md, "Secrets").
    @Suite("Network secrets") struct NetworkSecretTests {
        /// What nobody may find, as it was given and as requests carry it.
        private struct Secrets {
            var right: String
            /// Refused by the service before.
            var wrong: String
            var user: String

            var needles: [String] {
                [right, wrong].flatMap { secret in
                    [secret, encoded(secret), encoded("\(user):\(secret)")]
                } + [Secrets.tokenHead]
            }

            /// Every token of `opentera` is a JSON Web Token, and begins with `{"alg":`.
            private static let tokenHead = "eyJhbGciOi"

            /// Without what its end makes of it.
            private func encoded(_ text: String) -> String {
                String(Data(text.utf8).base64EncodedString().prefix { $0 != "=" }.dropLast())
            }
        }

        /// Somewhere a secret could have got to.
        private struct Place {
            var name: String
            var content: Data
            func holds(_ text: String) -> Bool { content.range(of: Data(text.utf8)) != nil }
        }

        @Test(
            "After a refused login, an upload and a read the secret is nowhere but where it was configured",
            arguments: NetworkKind.allCases)
        func nowhere(kind: NetworkKind) throws {
            var random = SeededRandom.forTest("secrets")
            let secrets = Secrets(
                right: "right\(random.next())", wrong: "wrong\(random.next())", user: user(of: kind))
            try withRefused(kind, secrets) { network, right in
                var found = secrets
                found.right = right
                let session = try use(network, kind, right)
                let places = try places(of: network, session)
                for place in places {
                    for needle in found.needles where place.holds(needle) {
                        Issue.record("\(needle) is in \(place.name)")
                    }
                }
                // The same search finds what is there, in every kind of place.
                try expectSearched(places, network)
                let configured = Place(name: "the file", content: Data(try Sys.read(network.secretPath)))
                #expect(configured.holds(right))
            }
        }

        /// A mount as talkative as it can be, that was given a wrong secret. The right one is `right` where the service
        /// lets it be chosen, and its own where not.
        private func withRefused(
            _ kind: NetworkKind, _ secrets: Secrets, _ body: (NetworkMount, String) throws -> Void
        ) throws {
            var setup = NetworkSetup(kind)
            setup.secret = secrets.wrong
            let network = try NetworkMount(setup)
            let right = try choose(secrets.right, at: network.place)
            let mounted = network.mounted
            try mounted.start(wrapper: ["/bin/sh", "-c", "exec \"$@\" --verbose", "sh"])
            do { try body(network, right) } catch {
                let said = mounted.daemon?.errors.suffix(2000) ?? ""
                if mounted.isStarted { mounted.crash() }
                throw TestStopped("\(kind): \(error)\n(the daemon said: \(said))")
            }
            try mounted.stop()
        }

        private func user(of kind: NetworkKind) -> String {
            switch kind {
            case .opentera: OpenTeraControl.username
            case .mft: MFTControl.username
            case .itslearning: ItslearningControl.username
            case .s3, .tus: ""
            }
        }

        /// Names of the fixtures are words that stand in paths as well; these do not.
        /// - Returns: what is right from now on.
        private func choose(_ secret: String, at place: any NetworkPlace) throws -> String {
            func account(_ user: String) -> JSONValue { ["username": .string(user), "password": .string(secret)] }
            switch place {
            case let place as OpenTeraPlace: try place.pair.change(user: account(OpenTeraControl.username))
            case let place as MFTPlace: try place.vault.change(user: account(MFTControl.username))
            case let place as ItslearningPlace: try place.streams.change(account: account(ItslearningControl.username))
            case let place as TusPlace: try place.service.set(["token": .string(secret)])
            default: return place.secret.value
            }
            return secret
        }

        /// Is refused, puts the secret right, uploads, and reads what the service has.
        /// - Returns: the session.
        private func use(_ network: NetworkMount, _ kind: NetworkKind, _ right: String) throws -> String {
            let session = network.path(of: "s")
            let made = Sys.mkdir(session)
            if kind.showsSecretsEarly {
                #expect(made == .accessDenied)
            } else {
                #expect(made == .ok)
                #expect(Sys.writing("\(session)/late.bin", "late") == .accessDenied)
            }
            try Sys.write(network.secretPath, right)
            try network.mounted.fxmount(["retry", network.mounted.mountpoint]).expect(ExitCode.ok)
            if kind.showsSecretsEarly { try network.makeSession() }
            try Sys.write("\(session)/seen.bin", [UInt8](repeating: 7, count: 100_000))
            try network.mounted.fxmount(["wait", session]).expect(ExitCode.ok)
            // The kernel has no pages of it: they are the service's.
            if kind.readsOpenSessions {
                let file = try Sys.open("\(session)/seen.bin", O_RDONLY | Int32(CS_O_DIRECT))
                #expect(try file.read(4096, at: 0) == [UInt8](repeating: 7, count: 4096))
            }
            return session
        }

        // MARK: - Where it is looked for

        private static let attributes = [
            "state", "error", "progress", "attempts", "sha256", "remote_id", "url", "status_url", "expires",
            "committed_at", "files", "processing",
        ]

        private func places(of network: NetworkMount, _ session: String) throws -> [Place] {
            let mounted = network.mounted
            var places = [
                Place(name: "stdout", content: Data((mounted.daemon?.output ?? "").utf8)),
                Place(name: "stderr", content: Data((mounted.daemon?.errors ?? "").utf8)),
                Place(name: "cmdline", content: Data(try Sys.read("/proc/\(mounted.process)/cmdline"))),
            ]
            for path in ["\(session)/seen.bin", "\(session)/late.bin", session, network.parent, network.remote] {
                var names = Self.attributes.map { "user.fxmount.\($0)" }
                names += (try? Sys.attributes(path)) ?? []
                for name in names {
                    // No value is ENODATA.
                    guard let value = try? Sys.attribute(path, name) else { continue }
                    places.append(Place(name: "\(name) of \(path)", content: Data(value.utf8)))
                }
            }
            for root in [mounted.control, mounted.state] {
                for file in try Sys.files(below: root) {
                    // A file of the spool or of SQLite may just have gone.
                    guard let bytes = try? Sys.read("\(root)/\(file)") else { continue }
                    places.append(Place(name: "\(root)/\(file)", content: Data(bytes)))
                }
            }
            return try places + commands(session, mounted)
        }

        private func commands(_ session: String, _ mounted: Mounted) throws -> [Place] {
            try [
                ["session", "receipt", session], ["session", "status", session, "--json"],
                ["status", mounted.mountpoint, "--json", "--verbose"], ["remote", "list", "--json"],
                ["remote", "show", "net", "--json"], ["remote", "test", "net", "--verbose"],
                ["config", "show", "--origin", "--json"], ["doctor", "--verbose"],
            ]
            .map { words in
                let finished = try mounted.fxmount(words)
                return Place(
                    name: words.joined(separator: " "), content: Data((finished.output + finished.errors).utf8))
            }
        }

        /// Proves that the search can find: something harmless is in each kind of place.
        private func expectSearched(_ places: [Place], _ network: NetworkMount) throws {
            func expect(_ text: String, in name: (String) -> Bool, _ what: String) {
                let isFound = places.contains { name($0.name) && $0.holds(text) }
                #expect(isFound, "\(text) was not found in \(what)")
            }
            let digest = sha256Text([UInt8](repeating: 7, count: 100_000))
            expect("seen.bin", in: { $0 == "stderr" }, "the log")
            expect(network.mounted.mountpoint, in: { $0 == "cmdline" }, "the command line")
            expect(digest, in: { $0.hasPrefix("user.fxmount.sha256") }, "the attributes")
            for file in ["transfers.jsonl", "events.jsonl", "receipt.json"] {
                expect("seen.bin", in: { $0.hasSuffix(file) }, file)
            }
            expect("seen.bin", in: { $0.hasPrefix("\(network.mounted.state)/journal.") }, "the journal")
            expect("seen.bin", in: { $0.hasPrefix("session receipt") }, "the receipt")
            expect("\(network.place.proxy.port)", in: { $0.hasPrefix("remote show") }, "the remote")
            expect(network.secretPath, in: { $0.hasPrefix("remote show") }, "the place of the secret")
        }
    }
}
