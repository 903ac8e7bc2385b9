import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// Files that are larger than the disk of the spool. What concerns the spool alone is tried with S3.
    @Suite("Network and small disks", .root) struct NetworkDiskTests {
        private func withSmallSpool(
            _ kind: NetworkKind, _ mebibytes: Int, keep: String = "none", commit: String = "remote",
            ending code: Int32 = ExitCode.ok,
            _ body: (NetworkMount, String) throws -> Void
        ) throws {
            try withSmallDisk(mebibytes) { disk in
                let state = "\(disk)/state"
                Sys.mkdir(state, 0o700)
                var setup = NetworkSetup(kind, "commit = \"\(commit)\"")
                setup.configuration = "[spool]\nkeep = \"\(keep)\"\n"
                setup.state = state
                setup.seconds = 240
                try withNetworkMount(setup, ending: code) { network in try body(network, state) }
            }
        }

        @Test(
            "A file larger than the disk goes through while it is written",
            arguments: NetworkKind.allCases.filter(\.sendsWhileWritten))
        func large(kind: NetworkKind) throws {
            try withSmallSpool(kind, 80) { network, state in
                let session = try network.makeSession()
                let source = "\(network.mounted.base)/source"
                try sh("head -c 120000000 /dev/urandom > '\(source)'")
                try sh("cp '\(source)' '\(session)/large'", seconds: 120)
                let digest = try sh("sha256sum < '\(source)'").output.prefix(64)
                #expect(try network.files(in: "s") == ["large": [String(digest)]])
                #expect(try Sys.attribute("\(session)/large", "user.fxmount.sha256") == String(digest))
                #expect(try network.leftovers() == [])
                #expect(try waitUntil { try Sys.list("\(state)/spool").isEmpty })
                // What fits is as always, and what passed through is read from the service.
                try sh("cmp '\(source)' '\(session)/large'", seconds: 60)
                try Sys.write("\(session)/small", "small")
                #expect(try network.files(in: "s").count == 2)
            }
        }

        @Test("The close of a file that passed through waits for its commit, also with commit = \"journal\"")
        func closeWaits() throws {
            try withSmallSpool(.s3, 80, commit: "journal") { network, _ in
                let session = try network.makeSession()
                let file = try Sys.open("\(session)/large", O_WRONLY | O_CREAT)
                let block = [UInt8](repeating: 0x5a, count: 1 << 20)
                for _ in 0..<120 { #expect(file.write(block) == .ok) }
                #expect(file.close() == .ok)
                #expect(try Sys.attribute("\(session)/large", "user.fxmount.state") == "committed")
                #expect(try network.files(in: "s").keys.sorted() == ["large"])
            }
        }

        @Test("What has left the spool cannot be changed, read or renamed; the file can be removed")
        func passedOn() throws {
            try withSmallSpool(.s3, 80) { network, _ in
                let session = try network.makeSession()
                let path = "\(session)/large"
                let file = try Sys.open(path, O_WRONLY | O_CREAT)
                let block = [UInt8](repeating: 0x5a, count: 1 << 20)
                for _ in 0..<120 { #expect(file.write(block) == .ok) }
                #expect(file.write(block, at: 0) == .noSpace)
                #expect(file.write(Array("end".utf8), at: 110 << 20) == .noSpace)
                #expect(file.truncate(1 << 20) == .noSpace)
                let busy = Outcome(errno: EBUSY)
                #expect(Sys.rename(path, "\(session)/other") == busy)
                let reader = try Sys.open(path, O_RDONLY)
                do {
                    _ = try reader.read(4096, at: 0)
                    Issue.record("the beginning was read, though only the service has it")
                } catch let error as CallFailed { #expect(error.outcome == busy) }
                // It is not what its writer wants, and says so.
                #expect(file.close() == .noSpace)
                #expect(reader.close() == .ok)
                #expect(try Sys.attribute(path, "user.fxmount.state") == "draft")
                #expect(try network.files(in: "s").isEmpty)
                #expect(Sys.unlink(path) == .ok)
                #expect(try waitUntil(seconds: 20) { try network.leftovers().isEmpty })
            }
        }

        @Test("With spool.keep = \"all\", and by a temporary name, a full disk is ENOSPC at write, and nothing is sent")
        func refused() throws {
            for (keep, name) in [("all", "large"), ("none", "large.part")] {
                try withSmallSpool(.s3, 60, keep: keep) { network, _ in
                    let session = try network.makeSession()
                    let file = try Sys.open("\(session)/\(name)", O_WRONLY | O_CREAT)
                    let block = [UInt8](repeating: 1, count: 1 << 20)
                    var outcome = Outcome.ok
                    for _ in 0..<120 where outcome.succeeded { outcome = file.write(block) }
                    #expect(outcome == .noSpace, "\(keep) \(name)")
                    #expect(!file.close().succeeded)
                    #expect(Sys.unlink("\(session)/\(name)") == .ok)
                    #expect(try waitUntil(seconds: 20) { try network.leftovers().isEmpty })
                    try network.expect([:])
                }
            }
        }

        @Test(
            "A crash before the close keeps the rest under a name that says so, and nothing at the service",
            arguments: NetworkKind.allCases.filter(\.sendsWhileWritten))
        func crash(kind: NetworkKind) throws {
            try withSmallDisk(80) { disk in
                let state = "\(disk)/state"
                Sys.mkdir(state, 0o700)
                var setup = NetworkSetup(kind)
                setup.state = state
                setup.seconds = 240
                let network = try NetworkMount(setup)
                try network.mounted.start()
                let session = try network.makeSession()
                let file = try Sys.open("\(session)/large", O_WRONLY | O_CREAT)
                let block = [UInt8](repeating: 0x5a, count: 1 << 20)
                for _ in 0..<120 { #expect(file.write(block) == .ok) }
                network.mounted.crash()
                _ = file.close()
                try network.mounted.start()
                let recovered = try Sys.files(below: Contract.recovered(state))
                #expect(recovered == ["net/s/large.incomplete"])
                #expect(try waitUntil(seconds: 20) { try network.leftovers().isEmpty })
                try network.expect([:])
                try network.mounted.stop()
            }
        }
    }
}
