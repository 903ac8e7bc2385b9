import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// What a session was, in writing: receipts and verification.
    @Suite("Receipts and verification") struct SessionProofTests {
        @Test("The receipt names every committed file, and its digests are those of sha256sum")
        func receipt() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("s")
                #expect(Sys.mkdir(session) == .ok)
                #expect(Sys.mkdir("\(session)/d") == .ok)
                try Sys.write("\(session)/a", "first")
                try Sys.write("\(session)/d/b c", "second")
                #expect(Sys.utime("\(session)/a", 1_000_000_000) == .ok)
                let draft = try Sys.open("\(session)/open", O_WRONLY | O_CREAT)
                #expect(draft.write("not yet") == .ok)
                let early = try mounted.fxmount(["session", "receipt", session])
                #expect(early.code == ExitCode.workLeft && early.output.contains("\"unfinished\":1"), "\(early)")
                #expect(draft.close() == .ok)
                try mounted.fxmount(["wait", session]).expect(ExitCode.ok)
                let output = "\(mounted.base)/receipt.json"
                try mounted.fxmount(["session", "receipt", session, "--output", output]).expect(ExitCode.ok)
                let receipt = try #require(Contract.object(try Sys.text(output)))
                let files = try #require(receipt["files"] as? [[String: Any]])
                #expect(files.compactMap { $0["path"] as? String } == ["a", "d/b c", "open"])
                #expect(files.first?["mtime"] as? String == "2001-09-09T01:46:40.000000Z")
                for file in files {
                    let path = try #require(file["path"] as? String)
                    let sum = try sh("sha256sum < '\(session)/\(path)'").output.prefix(64)
                    #expect(file["sha256"] as? String == String(sum))
                }
                // The same document for those who have cat only.
                demand(try Sys.text("\(mounted.control)/sessions/local/s/receipt.json").contains("\"files\":3"))
                #expect(Sys.stating("\(mounted.control)/sessions/local/nothing") == .noEntry)
                #expect(Sys.opening("\(mounted.control)/sessions/local/s/receipt.json", O_WRONLY) == .notPermitted)
                #expect(try Sys.list("\(mounted.control)/sessions/local/s") == ["receipt.json"])
            }
        }

        @Test("A sound session is verified; a changed, a shortened and a missing file are named with exit 24")
        func verify() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("v")
                #expect(Sys.mkdir(session) == .ok)
                for name in ["changed", "short", "gone", "sound"] { try Sys.write("\(session)/\(name)", "content") }
                try Sys.write("\(session)/empty", "")
                try mounted.fxmount(["session", "verify", session]).expect(ExitCode.ok)
                try mounted.fxmount(["session", "verify", session, "--read"]).expect(ExitCode.ok)
                let store = mounted.stored("v")
                try sh("printf CONTENT > changed; truncate -s 3 short; mv gone away; printf x > empty", in: store)
                let quick = try mounted.fxmount(["session", "verify", session, "--json"])
                #expect(quick.code == ExitCode.verification, "\(quick)")
                #expect(try problems(quick) == ["empty": "size", "gone": "missing", "short": "size"])
                let thorough = try mounted.fxmount(["session", "verify", session, "--read", "--json"])
                #expect(thorough.code == ExitCode.verification, "\(thorough)")
                #expect(
                    try problems(thorough)
                        == ["changed": "sha256", "empty": "size", "gone": "missing", "short": "size"])
                let person = try mounted.fxmount(["session", "verify", session])
                demand(person.output.contains("gone is not at the service"), "\(person)")
                #expect(try mounted.fxmount(["session", "verify", "\(session)/sound"]).code != ExitCode.ok)
            }
        }

        private func problems(_ result: Finished) throws -> [String: String] {
            let report = try #require(Contract.object(result.output))
            let list = try #require(report["problems"] as? [[String: Any]])
            return Dictionary(
                uniqueKeysWithValues: list.compactMap { problem in
                    guard let path = problem["path"] as? String, let word = problem["problem"] as? String else {
                        return nil
                    }
                    return (path, word)
                })
        }
    }
}
