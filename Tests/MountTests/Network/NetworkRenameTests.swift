import CSyscalls
import FXSystem
import ServiceFixtures
import Testing

extension MountTests {
    /// Renaming inside a session. None of these services renames what was committed ("What it cannot do" of each in
    /// docs/SERVICES.md), and what a remote cannot do is EPERM (docs/ERRORS.md). A draft has only its final name for
    /// the service (S15, S17).
    @Suite("Network renames") struct NetworkRenameTests {
        @Test(
            "A committed file that cannot be renamed is EPERM for mv and keeps name and bytes, also in the next mount",
            arguments: NetworkKind.allCases)
        func toFreeName(kind: NetworkKind) throws {
            try withNetworkMount(NetworkSetup(kind)) { network in
                let contents = try commit(["old.bin"], into: network)
                for turn in 1...2 {
                    if turn == 2 { try mountAgain(network) }
                    let circumstances = "in mount \(turn)"
                    try expectKept(contents, kind, network, "before mv, \(circumstances)")
                    try expectRefused("old.bin", "new.bin", network, circumstances)
                    #expect(Sys.stating("\(network.path(of: "s"))/new.bin") == .noEntry, "\(circumstances)")
                    try expectKept(contents, kind, network, "after mv, \(circumstances)")
                }
            }
        }

        @Test(
            "A committed file that cannot take another one's name is EPERM, and both stay, also in the next mount",
            arguments: NetworkKind.allCases)
        func ontoCommitted(kind: NetworkKind) throws {
            // Even where committed files may be removed.
            try withNetworkMount(NetworkSetup(kind, removing: true)) { network in
                let contents = try commit(["first.bin", "second.bin"], into: network)
                for turn in 1...2 {
                    if turn == 2 { try mountAgain(network) }
                    let circumstances = "in mount \(turn)"
                    try expectKept(contents, kind, network, "before mv, \(circumstances)")
                    try expectRefused("first.bin", "second.bin", network, circumstances)
                    try expectKept(contents, kind, network, "after mv, \(circumstances)")
                }
            }
        }

        @Test(
            "A draft that gets its final name is sent once, and the service never hears of the temporary one",
            arguments: NetworkKind.allCases)
        func draft(kind: NetworkKind) throws {
            var setup = NetworkSetup(kind)
            setup.seconds = 240
            try withNetworkMount(setup) { network in
                let session = try network.makeSession()
                var random = SeededRandom.forTest("renamedDraft")
                // Several chunks, which under an ordinary name are sent while it is written, where that can be (S39).
                let bytes = random.bytes(kind.largeFile ?? 100_000)
                let (temporary, ordinary) = ("arriving.bin.part", "arrived.bin")
                try network.proxy.reset()
                try Sys.write("\(session)/\(temporary)", bytes)
                #expect(try Sys.attribute("\(session)/\(temporary)", "user.fxmount.state") == "draft")
                let early = try network.proxy.finishedLog().filter { isUpload($0, to: network) || $0.sent > 50_000 }
                #expect(early.isEmpty, "sent under the temporary name: \(early)")
                try network.expect([:], "before the ordinary name")
                let moved = try run(["mv", "\(session)/\(temporary)", "\(session)/\(ordinary)"])
                #expect(moved.code == 0, "\(moved)")
                #expect(Sys.stating("\(session)/\(temporary)") == .noEntry)
                #expect(try Sys.attribute("\(session)/\(ordinary)", "user.fxmount.state") == "committed")
                // A claim of a large file is given back in the background.
                #expect(try waitUntil(seconds: 20) { try network.leftovers().isEmpty })
                try network.expect([ordinary: bytes])
                #expect(try network.arrivals(in: "s") == [ordinary])
                let told = try namesTold(to: network)
                #expect(told.contains { $0.contains(ordinary) }, "\(told)")
                #expect(!told.contains { $0.contains(temporary) }, "\(told)")
            }
        }

        // MARK: - Steps

        /// Makes the session `s` and files in it; answers their contents.
        private func commit(_ names: [String], into network: NetworkMount) throws -> [String: [UInt8]] {
            let session = try network.makeSession()
            var random = SeededRandom.forTest("rename")
            var contents: [String: [UInt8]] = [:]
            for name in names {
                let bytes = random.bytes(70_000)
                try Sys.write("\(session)/\(name)", bytes)
                contents[name] = bytes
            }
            return contents
        }

        private func mountAgain(_ network: NetworkMount) throws {
            try network.mounted.stop()
            try network.mounted.start()
        }

        /// The tool fails, by the errno of what the remote cannot do, and so does the call.
        private func expectRefused(
            _ name: String, _ newName: String, _ network: NetworkMount, _ circumstances: String
        ) throws {
            let session = network.path(of: "s")
            let (old, new) = ("\(session)/\(name)", "\(session)/\(newName)")
            let moved = try run(["mv", "-f", old, new])
            #expect(moved.code == 1 && moved.errors.contains("Operation not permitted"), "\(circumstances): \(moved)")
            #expect(Sys.rename(old, new) == .notPermitted, "\(circumstances)")
        }

        /// Service and mount have these files and no others, each as it was sent, and each was sent once.
        private func expectKept(
            _ contents: [String: [UInt8]], _ kind: NetworkKind, _ network: NetworkMount, _ circumstances: String
        ) throws {
            try network.expect(contents, circumstances)
            #expect(try network.arrivals(in: "s").sorted() == contents.keys.sorted(), "\(circumstances)")
            for (name, bytes) in contents {
                let path = "\(network.path(of: "s"))/\(name)"
                #expect(try Sys.attribute(path, "user.fxmount.state") == "committed", "\(circumstances): \(name)")
                #expect(try Int(Sys.status(path).size) == bytes.count, "\(circumstances): \(name)")
                if kind.readsOpenSessions { demand(try Sys.read(path) == bytes, "\(circumstances): \(name)") }
            }
        }

        /// The request carries bytes of a file, or announces one to mft, which keeps names out of the target.
        private func isUpload(_ request: ProxyControl.Request, to network: NetworkMount) -> Bool {
            func part(_ key: String) -> String {
                network.place.uploads.first { $0.key == key }?.value.string ?? "none"
            }
            let carriesBytes = request.method == part("method") && request.target.hasPrefix(part("path"))
            return carriesBytes || request.target.contains("/transfer_file")
        }

        /// Every target that was asked for; and, where requests have names elsewhere, those of every file the service
        /// knows or knew.
        private func namesTold(to network: NetworkMount) throws -> [String] {
            let targets = try network.proxy.finishedLog().map { percentDecoded($0.target) }
            switch network.place {
            case let place as OpenTeraPlace:
                return try targets + place.pair.allAssets(withDigests: false).map(\.name)
            case let place as TusPlace:
                return try targets + place.service.uploads().flatMap { Array($0.metadata.values) }
            case let place as MFTPlace:
                return try targets + place.vault.groups(withDigests: false).flatMap(\.files).map(\.name)
            case let place as ItslearningPlace:
                return try targets + place.streams.files().map(\.name)
            default: return targets
            }
        }
    }
}
