import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// The disk loses bytes of a draft, says so once, and gives others for them from then on.
    @Suite("Network and a disk that loses bytes", .root, .enabled(if: FaultInjector.isAvailable))
    struct NetworkLostBytesTests {
        /// What asks the disk: small files are sealed by the journal, larger ones by themselves.
        @Test(
            "What a close has refused with EIO is not sent afterwards, until somebody writes it again",
            arguments: [(1_000, "sync_file_range"), (300_000, "fdatasync")], ["journal", "remote"])
        func lost(file: (size: Int, call: String), commit: String) throws {
            try withNetworkMount(NetworkSetup(.s3, "commit = \"\(commit)\"")) { network in
                let session = try network.makeSession()
                let path = "\(session)/f"
                let draft = try Sys.open(path, O_WRONLY | O_CREAT, 0o644)
                #expect(draft.write([UInt8](repeating: 7, count: file.size)) == .ok)
                let injector = try FaultInjector(
                    daemon: network.mounted.process, calls: file.call, injection: "error=EIO:when=1")
                let closed = draft.close()
                injector.detach()
                #expect(closed == Outcome(errno: EIO))
                // The last close of a file seals it in any other case.
                #expect(!waitUntil(seconds: 2) { (try? network.files(in: "s").isEmpty) == false })
                let again = try Sys.open(path, O_WRONLY | O_TRUNC)
                #expect(again.write([UInt8](repeating: 8, count: file.size)) == .ok)
                #expect(again.close() == .ok)
                try network.mounted.fxmount(["wait", session]).expect(ExitCode.ok)
                let digest = sha256Text([UInt8](repeating: 8, count: file.size))
                #expect(try network.files(in: "s") == ["f": [digest]])
            }
        }
    }
}
