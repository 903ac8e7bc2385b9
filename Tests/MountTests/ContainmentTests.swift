import CSyscalls
import Glibc
import Synchronization
import Testing

extension MountTests {
    /// Nothing outside a mapped root is reachable or changed.
    @Suite("Containment") struct ContainmentTests {
        @Test(".. ends at the mount, and absolute names stay the caller's own business")
        func dotDot() throws {
            try withMount { mounted in
                let root = mounted.alias()
                let parent = try Sys.status("\(root)/..", follow: true)
                #expect(try parent.inode == Sys.status("\(mounted.mountpoint)/types/lab").inode)
                #expect(parent.device == (try Sys.status(root)).device, "the parent of a type is inside the mount")
                let outside = try Sys.status(mounted.backing("data") + "/..", follow: true)
                #expect(!(outside.inode == parent.inode && outside.device == parent.device))
                let directory = try Sys.open(root, O_RDONLY)
                #expect(Outcome(cs_openat2_beneath(directory.number, "../../..", O_RDONLY)) == .crossDevice)
            }
        }

        @Test("A symlink leads where it leads for the caller, never further inside the daemon")
        func symlinks() throws {
            try withMount { mounted in
                let root = mounted.alias()
                let secret = "\(mounted.base)/secret"
                try Sys.write(secret, "secret")
                _ = Sys.chmod(secret, 0o600)
                #expect(Outcome(cs_symlink(secret, "\(root)/link")) == .ok)
                #expect(try Sys.readlink("\(root)/link") == secret)
                // Every operation of the daemon on the link is about the link.
                #expect(Sys.chown("\(root)/link", 0, 0) == .ok)
                #expect(Sys.utime("\(root)/link", 1000) == .ok)
                #expect(try Sys.status("\(secret)").mtime != 1000)
                #expect(Sys.setAttribute("\(root)/link", "user.x", "1") != .ok)
                #expect(Sys.opening("\(root)/link", O_WRONLY | O_NOFOLLOW) == Outcome(errno: ELOOP))
                #expect(try Sys.text(secret) == "secret")
            }
        }

        @Test("Directories swapped with symlinks in a race never lead out")
        func race() throws {
            try withMount(MountSetup(seconds: 60)) { mounted in
                let behind = mounted.backing("data")
                let outside = try Scratch.directory("outside")
                defer { Scratch.remove(outside) }
                try Sys.write("\(outside)/f", "untouched")
                try Sys.write("\(outside)/only-outside", "x")
                Sys.mkdir("\(behind)/real")
                try Sys.write("\(behind)/real/f", "inside")
                Sys.symlink(outside, "\(behind)/evil")
                let swapper = try Child(
                    [
                        "/bin/sh", "-c",
                        "cd '\(behind)'; while :; do mv -T real t; mv -T evil real; mv -T real evil; mv -T t real; done",
                    ])
                defer { swapper.killAll(); _ = swapper.code(waitingMilliseconds: 2000) }
                let root = mounted.alias()
                let own = try Sys.open("\(root)/.", O_RDONLY)
                let end = cs_now_ms() + 4000
                var reached = 0
                while cs_now_ms() < end {
                    // The kernel follows a symlink it sees as one; what must not happen is that the daemon follows one
                    // for a name it took
                    // for a directory. openat2(RESOLVE_BENEATH|…) of the caller makes the caller innocent.
                    let file = cs_openat2_beneath(own.number, "real/only-outside", O_RDONLY)
                    if file >= 0 { reached += 1; _ = cs_close(Int32(file)) }
                    let written = cs_openat2_beneath(own.number, "real/f", O_WRONLY | O_TRUNC)
                    if written >= 0 { _ = cs_write(Int32(written), "hit", 3); _ = cs_close(Int32(written)) }
                    let made = cs_openat2_beneath(own.number, "real/created", O_RDONLY)
                    if made >= 0 { _ = cs_close(Int32(made)) }
                }
                #expect(reached == 0, "a file outside was opened \(reached) times")
                #expect(try Sys.text("\(outside)/f") == "untouched")
                #expect(try Sys.list(outside) == ["f", "only-outside"])
            }
        }

        @Test("Hard links do not join types, and names from outside cannot be linked in")
        func hardLinks() throws {
            let types = [TypeSpecification(name: "data"), TypeSpecification(name: "strict", policy: .writeOnce)]
            try withMount(MountSetup(types: types)) { mounted in
                try Sys.write("\(mounted.alias("strict"))/f", "sealed")
                let joined = Sys.link("\(mounted.alias("strict"))/f", "\(mounted.alias())/f")
                #expect(joined == .crossDevice || joined == .notPermitted, "\(joined)")
                let moved = Sys.rename("\(mounted.alias("strict"))/f", "\(mounted.alias())/f")
                #expect(moved == .crossDevice || moved == .notPermitted, "\(moved)")
                #expect(Sys.rename("\(mounted.alias())/../strict/f", "\(mounted.alias("strict"))/g") == .notPermitted)
                try Sys.write("\(mounted.base)/foreign", "x")
                #expect(Sys.link("\(mounted.base)/foreign", "\(mounted.alias())/foreign") == .crossDevice)
                #expect(try Sys.text("\(mounted.alias("strict"))/f") == "sealed")
            }
        }

        @Test("A bind mount inside a mapped directory is not entered as if it were its own", .root)
        func bindMount() throws {
            try withMount { mounted in
                let behind = mounted.backing("data")
                Sys.mkdir("\(behind)/inner")
                let outside = try Scratch.directory("bound")
                try Sys.write("\(outside)/f", "outside")
                try sh("mount --bind '\(outside)' '\(behind)/inner'")
                defer { _ = try? run(["umount", "-l", "\(behind)/inner"]); Scratch.remove(outside) }
                let seen = (try? Sys.text("\(mounted.alias())/inner/f")) ?? ""
                // Either it is refused, or it is shown under the same policy: what it may not do is to lose a byte of
                // it.
                #expect(Sys.unlink("\(mounted.alias())/inner/f") != .ok)
                _ = Sys.writing("\(mounted.alias())/inner/f", "new")
                let kept = try Kept.contents(outside).union(Kept.contents(behind))
                demand(kept.contains(Array("outside".utf8)), "seen as \(seen)")
            }
        }

        @Test(
            "A directory of the type bound a second time inside it leaves the first one where it is, also when listed",
            .root)
        func boundTwice() throws {
            try withMount { mounted in
                let behind = mounted.backing("data")
                // One is listed before it and one after it, whatever the order of the file system.
                for name in ["again", "original", "later"] { Sys.mkdir("\(behind)/\(name)") }
                try Sys.write("\(behind)/original/f", "inside")
                #expect(try Sys.text("\(mounted.alias())/original/f") == "inside")
                for name in ["again", "later"] { try sh("mount --bind '\(behind)/original' '\(behind)/\(name)'") }
                defer { for name in ["again", "later"] { _ = try? run(["umount", "-l", "\(behind)/\(name)"]) } }
                // The kernel knows the directory; a listing with the status of each entry meets it under both names.
                let path = mounted.alias()
                for _ in 0..<3 {
                    let listed = try run(["ls", "-l", path]).output
                    #expect(["again", "original", "later"].allSatisfy { listed.contains($0) }, "\(listed)")
                    #expect(Sys.writing("\(path)/original/f", "more") == .ok)
                    #expect(Sys.mkdir("\(path)/original/d") == .ok)
                    #expect(try run(["rmdir", "\(behind)/original/d"]).code == 0)
                }
                // Its versions are where its path says, and only there.
                #expect(try run(["ls", "\(behind)/.fxversions"]).output == "original\n")
            }
        }

        @Test("Names are bytes: newline, non-UTF-8, 255 bytes, leading dashes")
        func names() throws {
            try withMount { mounted in
                let root = Array(mounted.alias().utf8)
                let names: [[UInt8]] = [
                    Array("two\nlines".utf8), [0xe9, 0xff, 0x80], Array(repeating: 0x78, count: 255),
                    Array(repeating: 0xe9, count: 255),
                    Array("-rf".utf8), Array(" ".utf8), Array("\"'\\$(x)`".utf8), Array("...".utf8), [0x01, 0x7f],
                    Array("@versions".utf8),
                    Array("\u{202e}gnp.exe".utf8),
                ]
                for name in names {
                    let path = (root + [0x2f] + name + [0]).map(CChar.init(bitPattern:))
                    let label = String(decoding: name.prefix(20), as: UTF8.self)
                    for content in ["one", "two"] {
                        let made = cs_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
                        #expect(made >= 0, "\(label): \(Outcome(made))")
                        if made < 0 { continue }
                        let file = Descriptor(Int32(made))
                        #expect(file.write(content) == .ok)
                        #expect(file.close() == .ok)
                    }
                    #expect(Outcome(cs_unlink(path)) == .notPermitted, "\(label)")
                    let behind = (Array(mounted.backing("data").utf8) + [0x2f] + name + [0]).map(
                        CChar.init(bitPattern:))
                    var status = cs_status()
                    #expect(cs_stat(behind, &status, 0) == 0, "\(label) is not there byte for byte")
                    let listed = (name + [0]).map(CChar.init(bitPattern:))
                    #expect(cs_lists(mounted.alias(), listed) == 1, "\(label) is not listed")
                }
                let long = mounted.alias() + "/" + String(repeating: "y", count: 256)
                #expect(Sys.opening(long, O_WRONLY | O_CREAT) == Outcome(errno: ENAMETOOLONG))
                let versions = try Kept.contents("\(mounted.backing("data"))/.fxversions")
                #expect(versions == [Array("one".utf8)])
            }
        }

        @Test("A type cannot be mapped onto the mount, the state directory, or under another policy")
        func mappingRules() throws {
            try withMount { mounted in
                let inside = "\(mounted.mountpoint)/types/lab/data"
                for (name, path) in [
                    ("loop", inside), ("state", mounted.state), ("relative", "relative/dir"),
                    ("missing", "\(mounted.base)/missing"),
                    ("file", mounted.configurationPath),
                ] {
                    let finished = try mounted.fxmount(
                        Contract.createType("lab", name, path: path, policy: .keepVersions))
                    #expect(finished.code != 0, "\(finished)")
                }
                let weaker = try mounted.fxmount(
                    Contract.createType("lab", "weak", path: mounted.backing("data"), policy: .keepNames))
                #expect(weaker.code != 0, "\(weaker)")
            }
        }
    }
}
