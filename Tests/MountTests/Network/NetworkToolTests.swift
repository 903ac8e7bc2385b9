import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// What people copy with, into sessions of services.
    @Suite("Network tools") struct NetworkToolTests {
        /// A tree of sources; flat for a service without directories. Answers its contents by path.
        private func makeTree(
            _ root: String, of kind: NetworkKind, flat: Bool, random: inout SeededRandom
        ) throws -> [String: [UInt8]] {
            let ending = kind.ending
            var contents: [String: [UInt8]] = [:]
            for (index, name) in [
                "with space", "quote'\"s", "-dash", "ünïcödé 文字", "star*?[x]", "a&b;c|d", "x%2Fy",
            ]
            .enumerated() {
                contents[(flat || index % 2 == 0 ? name : "odd/\(name)") + ending] = random.bytes(100 + index)
            }
            for index in 0..<60 {
                let size = [0, 1, 4095, 4096, 4097, Int.random(in: 0...200_000, using: &random)][index % 6]
                contents[(flat ? "" : "d\(index % 7)/s\(index % 3)/") + "file \(index)\(ending)"] = random.bytes(size)
            }
            contents["large\(ending)"] = random.bytes(40 << 20)
            Sys.mkdir(root)
            for (path, bytes) in contents {
                try sh("mkdir -p \"$(dirname \"$TARGET\")\"", environment: ["TARGET": "\(root)/\(path)"])
                try Sys.write("\(root)/\(path)", bytes)
                _ = Sys.utime("\(root)/\(path)", 1_000_000_000 + bytes.count)
            }
            return contents
        }

        @Test(
            "rsync -a makes one upload a file, under its final name; the second run sends nothing",
            arguments: NetworkKind.allCases)
        func rsync(kind: NetworkKind) throws {
            var setup = NetworkSetup(kind)
            setup.seconds = 240
            let network = try NetworkMount(setup)
            let mounted = network.mounted
            try mounted.start()
            let session = try network.makeSession()
            var random = SeededRandom.forTest("rsync")
            let contents = try makeTree(
                "\(mounted.base)/src", of: kind, flat: !network.place.hasDirectories, random: &random)
            try sh("rsync -a src/ \"$TO\"/", in: mounted.base, environment: ["TO": session], seconds: 120)
            let arrived = try network.arrivals(in: "s")
            #expect(arrived.sorted() == contents.keys.sorted())
            try network.expect(contents)

            func expectNothing(_ circumstances: String) throws {
                let before = try network.place.proxy.log().last?.number ?? 0
                let second = try sh(
                    "rsync -ai --stats src/ \"$TO\"/", in: mounted.base, environment: ["TO": session], seconds: 60)
                #expect(
                    !second.lines.contains { $0.hasPrefix(">f") || $0.hasPrefix("<f") }, "\(circumstances): \(second)")
                demand(second.output.contains("Number of regular files transferred: 0"), "\(circumstances): \(second)")
                let sent = try network.place.proxy.finishedLog(after: before).filter { $0.sent > 50_000 }
                #expect(sent.isEmpty, "\(circumstances): \(sent)")
                #expect(try network.arrivals(in: "s").count == contents.count, "\(circumstances)")
            }
            try expectNothing("the second run")
            try mounted.stop()
            try mounted.start()
            try expectNothing("after a new mount")
            if kind.readsOpenSessions {
                let read = try run(["diff", "-r", "\(mounted.base)/src", session], seconds: 60)
                #expect(read.code == 0, "\(read)")
            }
            try mounted.stop()
        }

        @Test(
            "commit = \"journal\" keeps eight of many small files under way",
            arguments: NetworkKind.allCases.filter(\.takesManyAtOnce))
        func inFlight(kind: NetworkKind) throws {
            var setup = NetworkSetup(kind, "commit = \"journal\"")
            setup.seconds = 240
            try withNetworkMount(setup) { network in
                let session = try network.makeSession()
                let source = "\(network.mounted.base)/many"
                Sys.mkdir(source)
                var random = SeededRandom.forTest("inFlight")
                let contents = Dictionary(
                    uniqueKeysWithValues: (0..<(kind == .s3 ? 1000 : 200)).map {
                        ("many/\($0)\(kind.ending)", random.bytes(16 << 10))
                    })
                for (path, bytes) in contents { try Sys.write("\(network.mounted.base)/\(path)", bytes) }
                try network.place.proxy.reset()
                try network.place.proxy.set(["round_trip_milliseconds": 50])
                let copied = try run(["cp", "-r", source, session], seconds: 120)
                #expect(copied.code == 0, "\(copied)")
                try network.mounted.fxmount(["wait", session, "--timeout", "100s"], seconds: 110).expect(ExitCode.ok)
                // The others write down durably what the service told of an upload before its bytes go: on a slow disk
                // some of the eight wait for that at every moment.
                if kind == .s3 { #expect(try network.place.proxy.counter("most_under_way") >= 8) }
                // Not only once: the time of one upload after the other would be twenty times that.
                let log = try network.place.proxy.finishedLog()
                #expect(Set(log.map(\.connection)).count >= 8)
                try network.place.proxy.set(["round_trip_milliseconds": 0])
                try network.expect(contents)
            }
        }

        @Test(
            "The example of a backup: tar and cp -r into a session, completed and proved",
            arguments: NetworkKind.allCases)
        func backup(kind: NetworkKind) throws {
            try withNetworkMount(NetworkSetup(kind), ending: ExitCode.workLeft) { network in
                let mounted = network.mounted
                var random = SeededRandom.forTest("backup")
                let flat = !network.place.hasDirectories
                let contents = try makeTree("\(mounted.base)/documents", of: kind, flat: flat, random: &random)
                var root = #filePath.split(separator: "/", omittingEmptySubsequences: false)
                root.removeLast(4)
                let script = root.joined(separator: "/") + "/docs/backup-example.sh"
                // The script calls `fxmount` by its name.
                let programs = mounted.program.split(separator: "/", omittingEmptySubsequences: false).dropLast()
                var environment = mounted.environment
                environment["PATH"] =
                    programs.joined(separator: "/") + ":" + (Environment.value("PATH") ?? "/usr/bin:/bin")
                let name = "2026 spring"
                let finished = try run(
                    [script, "\(mounted.base)/documents", network.parent, name], environment: environment,
                    in: mounted.base,
                    seconds: 120)
                #expect(finished.code == 0, "\(finished)")
                let session = network.path(of: name)
                #expect(try Sys.attribute(session, "user.fxmount.state") == "complete")
                let held = try network.files(in: name)
                #expect(held.keys.contains("documents.tar"))
                for (path, bytes) in contents {
                    #expect(held["documents/\(path)"] ?? held[path] == [sha256Text(bytes)])
                }
                #expect(held.count == contents.count + 1)
                try sh("tar -df \"$FROM/documents.tar\"", in: mounted.base, environment: ["FROM": session])
                let late = try run(["cp", "\(mounted.base)/documents/large\(kind.ending)", "\(session)/late.bin"])
                #expect(late.code == 1 && late.errors.contains("Read-only file system"), "\(late)")
                // What cannot be stored is said: the script ends with the error of the step that failed.
                try network.place.proxy.rule(
                    network.place.refusingUploads([.init("status", 413), .init("times", 0), .init("skip", 1)]))
                let refused = try run(
                    [script, "\(mounted.base)/documents", network.parent, "refused"], environment: environment,
                    in: mounted.base,
                    seconds: 60)
                #expect(refused.code != 0, "\(refused)")
                #expect(try Sys.attribute(network.path(of: "refused"), "user.fxmount.state") == "open")
            }
        }
    }
}
