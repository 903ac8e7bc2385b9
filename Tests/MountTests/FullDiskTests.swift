import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// A full disk says so at write(), tears nothing, and everything goes on once there is space.
    @Suite("Full disk", .root) struct FullDiskTests {
        @Test("The spool's disk is full: ENOSPC at write, nothing torn, then on with the next file")
        func spool() throws {
            try withSmallDisk(24) { disk in
                let state = "\(disk)/state"
                Sys.mkdir(state, 0o700)
                try withMount(MountSetup(types: [], state: state)) { mounted in
                    let session = mounted.session("full")
                    #expect(Sys.mkdir(session) == .ok)
                    try Sys.write("\(session)/small", "fits")
                    let block = [UInt8](repeating: 0x42, count: 1 << 20)
                    let file = try Sys.open("\(session)/big", O_WRONLY | O_CREAT)
                    var (outcome, blocks) = (Outcome.ok, 0)
                    while outcome.succeeded && blocks < 64 {
                        outcome = file.write(block)
                        if outcome.succeeded { blocks += 1 }
                    }
                    #expect(outcome == .noSpace, "after \(blocks) MiB")
                    #expect(blocks >= 4, "space for \(blocks) MiB only")
                    #expect(!file.close().succeeded, "a close after a failed write must not claim success")
                    #expect(!Sys.exists("\(mounted.stored("full"))/big"), "a torn file is in the store")
                    #expect(try Sys.text("\(session)/small") == "fits")
                    // What was not sealed is a draft, which its creator may take away.
                    #expect(Sys.unlink("\(session)/big") == .ok)

                    try sh("mount -o remount,size=300m '\(disk)'")
                    let whole = try Sys.open("\(session)/again", O_WRONLY | O_CREAT)
                    for _ in 0..<20 { #expect(whole.write(block) == .ok) }
                    #expect(whole.close() == .ok)
                    try mounted.fxmount(["wait", "\(session)/again", "--timeout", "30s"]).expect(ExitCode.ok)
                    #expect(try Sys.status("\(mounted.stored("full"))/again").size == 20 << 20)
                    #expect(try Sys.text("\(mounted.stored("full"))/small") == "fits")
                }
            }
        }

        @Test("A limit on the size of the daemon's files is EFBIG at write, and the mount goes on")
        func fileSizeLimit() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("limited")
                #expect(Sys.mkdir(session) == .ok)
                try Sys.write("\(session)/before", "whole")
                try sh("prlimit --pid \(mounted.process) --fsize=8388608:unlimited")
                let file = try Sys.open("\(session)/large", O_WRONLY | O_CREAT)
                let block = [UInt8](repeating: 0x42, count: 1 << 20)
                var (outcome, blocks) = (Outcome.ok, 0)
                while outcome.succeeded && blocks < 16 {
                    outcome = file.write(block)
                    if outcome.succeeded { blocks += 1 }
                }
                #expect(outcome == Outcome(errno: EFBIG), "after \(blocks) MiB")
                #expect(!file.close().succeeded, "a close after a failed write must not claim success")
                try sh("prlimit --pid \(mounted.process) --fsize=unlimited:unlimited")
                #expect(try Sys.text("\(session)/before") == "whole")
                #expect(Sys.unlink("\(session)/large") == .ok)
                try Sys.write("\(session)/large", "now it is small")
                try mounted.fxmount(["wait", session, "--timeout", "30s"]).expect(ExitCode.ok)
                #expect(try Sys.text("\(mounted.stored("limited"))/large") == "now it is small")
            }
        }

        @Test("Space is reserved: what fallocate or ftruncate promise beyond the disk is refused at once")
        func reservation() throws {
            try withSmallDisk(24) { disk in
                let state = "\(disk)/state"
                Sys.mkdir(state, 0o700)
                try withMount(MountSetup(types: [], state: state)) { mounted in
                    #expect(Sys.mkdir(mounted.session("r")) == .ok)
                    let file = try Sys.open("\(mounted.session("r"))/f.part", O_WRONLY | O_CREAT)
                    demand([.noSpace, .notSupported].contains(file.fallocate(0, 0, 1 << 30)))
                    _ = file.close()
                    #expect(Sys.unlink("\(mounted.session("r"))/f.part") == .ok)
                }
            }
        }

        @Test(
            "No room for a version: the change is refused, the content stays, and works when there is room",
            arguments: [true, false])
        func versions(passthrough: Bool) throws {
            try withSmallDisk(16) { disk in
                let directory = "\(disk)/data"
                Sys.mkdir(directory)
                try withMount(MountSetup(types: [], passthrough: passthrough)) { mounted in
                    var random = SeededRandom.forTest("full versions")
                    let content = random.bytes(10 << 20)
                    try Sys.write("\(directory)/f", content)
                    try mounted.map(TypeSpecification(name: "small"), to: directory)
                    let path = "\(mounted.alias("small"))/f"
                    #expect(waitUntil(seconds: 5) { Sys.exists(path) })
                    #expect(Sys.writing(path, "X", flags: O_RDWR) == .noSpace)
                    #expect(Sys.truncate(path, 100) == .noSpace)
                    demand(try Sys.read("\(directory)/f") == content)
                    #expect(try Kept.debris(directory) == [])
                    try sh("mount -o remount,size=64m '\(disk)'")
                    #expect(Sys.writing(path, "X", flags: O_RDWR) == .ok)
                    demand(try Sys.read(path).prefix(1) == [0x58])
                    demand(try Kept.contents(directory).contains(content))
                }
            }
        }
    }
}
