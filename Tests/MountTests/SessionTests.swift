import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// Sessions of the embedded `local` remote: a backup script's whole way.
    @Suite("Sessions") struct SessionTests {
        @Test("cp -r of a real tree is byte for byte in the store after completion, and read-only from then on")
        func realTree() throws {
            let setup = MountSetup(statePlace: .disk, seconds: 400)
            try withMount(setup) { mounted in
                var random = SeededRandom.forTest("realTree")
                let source = "\(mounted.base)/source"
                let gigabyte = Environment.number("FXMOUNT_LARGEST", default: 1 << 30)
                let count = try SourceTree.make(
                    source, files: Environment.number("FXMOUNT_TREE_FILES", default: 2500), largest: gigabyte,
                    random: &random)
                let session = mounted.session("backup")
                #expect(Sys.mkdir(session) == .ok)
                try sh("cp -r '\(source)'/. '\(session)/'", seconds: 300)
                #expect(
                    try SourceTree.differences(source, session, seconds: 200) == "",
                    "read back through the mount before completion")
                try mounted.fxmount(["session", "complete", session], seconds: 200).expect(ExitCode.ok)
                let stored = mounted.stored("backup")
                let missing = try sh(
                    "cd '\(source)'; find . -type f -print0 | sort -z | xargs -0 -I{} sh -c 'cmp -s \"$1\" \"\(stored)/$1\" || echo \"$1\"' _ {}",
                    seconds: 200)
                #expect(missing.output == "", "not in the store as they were sent: \(missing.output.prefix(1000))")
                #expect(try Sys.files(below: stored).filter { !$0.hasPrefix(".") }.count >= count)
                try expectComplete(session)
            }
        }

        private func expectComplete(_ session: String) throws {
            #expect(try Sys.attribute(session, "user.fxmount.state") == "complete")
            #expect(Sys.opening("\(session)/new", O_WRONLY | O_CREAT) == .readOnly)
            #expect(Sys.opening("\(session)/medium", O_WRONLY) == .readOnly)
            #expect(Sys.mkdir("\(session)/newdir") == .readOnly)
            demand([.readOnly, .notPermitted].contains(Sys.unlink("\(session)/medium")))
            demand([.readOnly, .notPermitted].contains(Sys.rename("\(session)/medium", "\(session)/other")))
            #expect(try Sys.attribute("\(session)/medium", "user.fxmount.state") == "committed")
            #expect(try Sys.attribute("\(session)/medium", "user.fxmount.sha256").count == 64)
            #expect(try !Sys.attributes("\(session)/medium").contains { $0.hasPrefix("user.fxmount") })
        }

        /// One session on a quick mount, completed and compared file by file with what was expected.
        private func inSession(
            configuration: String = "", location: SourceLocation = #_sourceLocation,
            _ body: (Mounted, String) throws -> [String: [UInt8]]
        ) throws {
            try withMount(MountSetup(types: [], configuration: configuration), location: location) { mounted in
                let session = mounted.session("s")
                #expect(Sys.mkdir(session) == .ok, sourceLocation: location)
                let wanted = try body(mounted, session)
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
                let stored = mounted.stored("s")
                let names = try Sys.files(below: stored).filter { !$0.hasPrefix(".") && !$0.contains("manifest") }
                #expect(names == wanted.keys.sorted(), sourceLocation: location)
                for (name, content) in wanted {
                    demand((try? Sys.read("\(stored)/\(name)")) == content, "\(name)", location: location)
                }
            }
        }

        @Test(
            "Shell redirections, groups, pipelines and dd make one whole file each", arguments: ["remote", "journal"])
        func redirections(commit: String) throws {
            try inSession(configuration: "[remotes.local]\nkind = \"local\"\ncommit = \"\(commit)\"\n") { _, session in
                try sh(
                    """
                    (echo a; echo b) > group; echo one > single; { /bin/echo c; /bin/echo d; } > children
                    (sleep 0.2; echo late) > late; printf x | tee teed > /dev/null; echo 1 | cat > piped
                    dd if=/dev/zero of=dd bs=64k count=32 conv=fsync status=none
                    true > empty; seq 1 100000 > numbers; python3 -c 'print(1)' > py 2>/dev/null || echo 1 > py
                    """, in: session)
                return [
                    "group": Array("a\nb\n".utf8), "single": Array("one\n".utf8), "children": Array("c\nd\n".utf8),
                    "late": Array("late\n".utf8), "teed": Array("x".utf8), "piped": Array("1\n".utf8), "empty": [],
                    "py": Array("1\n".utf8),
                    "dd": [UInt8](repeating: 0, count: 2 << 20),
                    "numbers": Array((1...100_000).map { "\($0)\n" }.joined().utf8),
                ]
            }
        }

        @Test("rsync's temporary name makes one upload of the final name; the second run sends nothing")
        func rsync() throws {
            try withMount(MountSetup(types: [])) { mounted in
                var random = SeededRandom.forTest("rsync")
                try SourceTree.make("\(mounted.base)/src", files: 60, random: &random)
                let session = mounted.session("r")
                #expect(Sys.mkdir(session) == .ok)
                try sh("rsync -a src/ '\(session)/'", in: mounted.base)
                let uploads = try Sys.text("\(mounted.control)/transfers.jsonl").split(separator: "\n")
                demand(!uploads.contains { $0.contains("/.file") }, "a temporary name was sent")
                let second = try sh("rsync -ai --stats src/ '\(session)/'", in: mounted.base)
                demand(second.output.contains("Number of regular files transferred: 0"), "\(second)")
                #expect(!second.lines.contains { $0.hasPrefix(">f") }, "\(second)")
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
                let left = try Sys.files(below: mounted.stored("r")).filter { $0.contains("/.file") }
                #expect(left == [])
                try sh(
                    "cd src; find . -type f -print0 | xargs -0 -I{} cmp '{}' '\(mounted.stored("r"))/{}' >/dev/null || true",
                    in: mounted.base)
            }
        }

        @Test("A second writer is either refused or its bytes are there; the file is never torn")
        func secondWriter() throws {
            try inSession { _, session in
                let first = try Sys.open("\(session)/f", O_WRONLY | O_CREAT)
                #expect(first.write("first") == .ok)
                let second = cs_open("\(session)/f", O_WRONLY, 0)
                var content = Array("first".utf8)
                if second >= 0 {
                    let file = Descriptor(Int32(second))
                    #expect(file.write(Array("F".utf8), at: 0) == .ok)
                    #expect(file.close() == .ok)
                    content[0] = 0x46
                }
                #expect(first.close() == .ok)
                return ["f": content]
            }
        }

        @Test("Random writes, rewrites and truncation before the close; mtime kept")
        func rewrites() throws {
            try inSession { _, session in
                let file = try Sys.open("\(session)/f", O_RDWR | O_CREAT)
                #expect(file.write("0123456789") == .ok)
                #expect(file.write(Array("XY".utf8), at: 2) == .ok)
                #expect(file.truncate(6) == .ok)
                demand(try file.read(10, at: 0) == Array("01XY45".utf8))
                #expect(file.sync() == .ok)
                #expect(file.write(Array("end".utf8), at: 6) == .ok)
                #expect(file.close() == .ok)
                #expect(Sys.utime("\(session)/f", 1_111_111_111) == .ok)
                #expect(try Sys.status("\(session)/f").mtime == 1_111_111_111)
                #expect(try Sys.status("\(session)/f").size == 9)
                #expect(Sys.unlink("\(session)/f") == .notPermitted)
                return ["f": Array("01XY45end".utf8)]
            }
        }

        @Test(
            "What a handle that only writes has written is seen at once by readers and mappings that saw the old bytes")
        func writesAreSeen() throws {
            try inSession { _, session in
                let path = "\(session)/f"
                let reader = try Sys.open(path, O_RDWR | O_CREAT)
                #expect(reader.write([UInt8](repeating: 1, count: 8192)) == .ok)
                demand(try reader.read(8192, at: 0) == [UInt8](repeating: 1, count: 8192))
                let mapped = mmap(nil, 4096, PROT_READ, MAP_SHARED, reader.number, 0)
                guard let mapped, mapped != MAP_FAILED else { throw TestStopped("mmap: \(errno)") }
                defer { munmap(mapped, 4096) }
                #expect(mapped.load(as: UInt8.self) == 1)
                let writer = try Sys.open(path, O_WRONLY)
                #expect(writer.write([UInt8](repeating: 2, count: 4096)) == .ok)
                #expect(mapped.load(as: UInt8.self) == 2, "an old page is still mapped")
                demand(
                    try reader.read(8192, at: 0)
                        == [UInt8](repeating: 2, count: 4096) + [UInt8](repeating: 1, count: 4096))
                #expect(try Sys.status(path).size == 8192)
                #expect(writer.write([UInt8](repeating: 3, count: 100), at: 8192) == .ok)
                #expect(try Sys.status(path).size == 8292)
                demand(try reader.read(100, at: 8192) == [UInt8](repeating: 3, count: 100))
                #expect(writer.close() == .ok)
                #expect(reader.close() == .ok)
                return [
                    "f": [UInt8](repeating: 2, count: 4096) + [UInt8](repeating: 1, count: 4096)
                        + [UInt8](repeating: 3, count: 100)
                ]
            }
        }

        @Test("An unsealed draft may be removed or renamed by its creator; a temporary name is never sent")
        func drafts() throws {
            try inSession { mounted, session in
                try Sys.write("\(session)/a.part", "whole")
                try Sys.write("\(session)/b.tmp", "gone")
                #expect(Sys.unlink("\(session)/b.tmp") == .ok)
                #expect(Sys.rename("\(session)/a.part", "\(session)/a") == .ok)
                #expect(
                    try !Sys.files(below: mounted.stored("s")).contains { $0.contains("part") || $0.contains("tmp") })
                #expect(Sys.rmdir(session) == .notPermitted)
                return ["a": Array("whole".utf8)]
            }
        }

        @Test("Completion through the attribute; wait, status and transfers tell the same")
        func attributes() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let session = mounted.session("x")
                #expect(Sys.mkdir(session) == .ok)
                #expect(try Sys.attribute(session, "user.fxmount.state") == "open")
                try Sys.write("\(session)/f", "bytes")
                try mounted.fxmount(["wait", session, "--timeout", "10s"]).expect(ExitCode.ok)
                #expect(try Sys.attribute("\(session)/f", "user.fxmount.state") == "committed")
                let directory = try Sys.open(session, O_RDONLY)
                #expect(directory.sync() == .ok)
                #expect(directory.close() == .ok)
                demand(try Sys.text("\(mounted.control)/transfers.jsonl").contains("committed"))
                #expect(Contract.object(try Sys.text("\(mounted.control)/status.json")) != nil)
                #expect(Sys.setAttribute(session, "user.fxmount.state", "complete") == .ok)
                #expect(try Sys.attribute(session, "user.fxmount.state") == "complete")
                let status = try mounted.fxmount(["session", "status", session, "--json"]).expect(ExitCode.ok)
                #expect(Contract.sessionState(status.output) == "complete", "\(status)")
                demand(try mounted.fxmount(["session", "list", "--json"]).output.contains("x"))
            }
        }

        @Test("What a session does not take is refused at once, by name")
        func refusals() throws {
            try withMount(MountSetup(types: [])) { mounted in
                let (one, two) = (mounted.session("one"), mounted.session("two"))
                #expect(Sys.mkdir(one) == .ok)
                #expect(Sys.mkdir(two) == .ok)
                #expect(Sys.opening("\(mounted.mountpoint)/sessions/local/f", O_WRONLY | O_CREAT) == .notPermitted)
                #expect(Sys.mkdir(mounted.session(".staging")) == .invalid)
                #expect(Sys.opening("\(one)/.fxmount-manifest.json", O_WRONLY | O_CREAT) == .invalid)
                try Sys.write("\(one)/f", "1")
                #expect(Sys.rename("\(one)/f", "\(two)/f") == .crossDevice)
                #expect(Sys.rmdir(two) == .notPermitted)
                let draft = try Sys.open("\(one)/open", O_WRONLY | O_CREAT)
                #expect(draft.write("not yet") == .ok)
                let early = try mounted.fxmount(["session", "complete", one, "--timeout", "5s"])
                #expect(early.code != 0, "completed with a draft in it")
                #expect(draft.close() == .ok)
                try mounted.fxmount(["session", "complete", one]).expect(ExitCode.ok)
                try mounted.fxmount(["session", "complete", one]).expect(ExitCode.ok)
                demand(try Sys.text("\(mounted.stored("one"))/open") == "not yet")
            }
        }

        @Test("A complete session and its attributes survive a remount")
        func remount() throws {
            let mounted = try Mounted(MountSetup(types: []))
            try mounted.start()
            #expect(Sys.mkdir(mounted.session("m")) == .ok)
            try Sys.write("\(mounted.session("m"))/f", "kept")
            _ = Sys.utime("\(mounted.session("m"))/f", 1_000_000_000)
            let inode = try Sys.status("\(mounted.session("m"))/f").inode
            try mounted.fxmount(["session", "complete", mounted.session("m")]).expect(ExitCode.ok)
            try mounted.stop()
            try mounted.start()
            #expect(try Sys.text("\(mounted.session("m"))/f") == "kept")
            let after = try Sys.status("\(mounted.session("m"))/f")
            #expect(after.mtime == 1_000_000_000 && after.inode == inode)
            #expect(Sys.opening("\(mounted.session("m"))/g", O_WRONLY | O_CREAT) == .readOnly)
            try mounted.stop()
        }
    }
}
