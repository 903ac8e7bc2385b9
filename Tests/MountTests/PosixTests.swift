import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// Below a type it is an ordinary POSIX file system.
    @Suite("POSIX") struct PosixTests {
        private func inType(
            passthrough: Bool = true, place: Scratch.Place = .disk, _ body: (Mounted, String) throws -> Void
        ) throws {
            try withMount(MountSetup(types: [TypeSpecification(name: "data", place: place)], passthrough: passthrough))
            {
                try body($0, $0.alias())
            }
        }

        @Test("Modes, owners, times and statuses are those of the backing file")
        func attributes() throws {
            try inType { mounted, root in
                try Sys.write("\(root)/f", "12345")
                #expect(Sys.chmod("\(root)/f", 0o4751) == .ok)
                #expect(Sys.utime("\(root)/f", 1_234_567_890, 123_456_789) == .ok)
                let (seen, real) = (try Sys.status("\(root)/f"), try Sys.status("\(mounted.backing("data"))/f"))
                #expect(seen.mode == real.mode && seen.mode & 0o7777 == 0o4751)
                #expect(seen.mtime == 1_234_567_890 && seen.mtime_ns == 123_456_789)
                #expect((seen.size, seen.blocks) == (real.size, real.blocks))
                #expect((seen.uid, seen.gid) == (real.uid, real.gid))
                if Environment.isRoot {
                    #expect(Sys.chown("\(root)/f", 1234, 4321) == .ok)
                    #expect(try Sys.status("\(mounted.backing("data"))/f").uid == 1234)
                }
                #expect(Sys.mkdir("\(root)/sticky", 0o1777) == .ok)
                #expect(try Sys.status("\(root)/sticky").mode & 0o1000 != 0)
                #expect(try Sys.status(root).links >= 2)
            }
        }

        @Test("User extended attributes: set, get, list, replace, remove; internal names stay hidden")
        func extendedAttributes() throws {
            try inType { mounted, root in
                try Sys.write("\(root)/f", "x")
                #expect(Sys.setAttribute("\(root)/f", "user.one", "1") == .ok)
                #expect(Sys.setAttribute("\(root)/f", "user.one", "2", flags: 1) == .exists)
                #expect(Sys.setAttribute("\(root)/f", "user.two", "2", flags: 2) == Outcome(errno: ENODATA))
                #expect(Sys.setAttribute("\(root)/f", "user.one", "3") == .ok)
                #expect(try Sys.attribute("\(mounted.backing("data"))/f", "user.one") == "3")
                #expect(try Sys.attributes("\(root)/f").filter { $0.hasPrefix("user.") } == ["user.one"])
                #expect(Sys.removeAttribute("\(root)/f", "user.one") == .ok)
                #expect(cs_getxattr("\(root)/f", "user.one", nil, 0) == -Int(ENODATA))
                #expect(try Sys.attribute(root, "user.fxmount.policy") == "keep-versions")
                #expect(try Sys.attribute(root, "user.fxmount.status") == "MAPPED")
                #expect(try Sys.attribute(root, "user.fxmount.path") == mounted.backing("data"))
                #expect(try !Sys.attributes(root).contains { $0.hasPrefix("user.fxmount") })
            }
        }

        @Test("Hard links, symlinks, FIFOs and sockets")
        func kinds() throws {
            try inType { _, root in
                try Sys.write("\(root)/f", "x")
                #expect(Sys.link("\(root)/f", "\(root)/g") == .ok)
                let (f, g) = (try Sys.status("\(root)/f"), try Sys.status("\(root)/g"))
                #expect(f.inode == g.inode && f.links == 2)
                #expect(Outcome(cs_symlink("dangling/é", "\(root)/s")) == .ok)
                #expect(try Sys.readlink("\(root)/s") == "dangling/é")
                #expect(try Sys.status("\(root)/s").size == UInt64("dangling/é".utf8.count))
                #expect(Outcome(cs_mkfifo("\(root)/fifo", 0o600)) == .ok)
                let finished = try sh("(echo through > fifo &) ; cat fifo", in: root, seconds: 10)
                #expect(finished.output == "through\n")
            }
        }

        @Test("Sparse files, SEEK_HOLE, fallocate", arguments: [true, false])
        func sparse(passthrough: Bool) throws {
            try inType(passthrough: passthrough) { _, root in
                let file = try Sys.open("\(root)/s", O_RDWR | O_CREAT)
                #expect(file.write([1], at: 50 << 20) == .ok)
                #expect(try file.status().blocks < 1000)
                #expect(cs_lseek(file.number, 0, Int32(CS_SEEK_DATA)) > 0)
                #expect(cs_lseek(file.number, 0, Int32(CS_SEEK_HOLE)) == 0)
                #expect(file.fallocate(0, 0, 1 << 20) == .ok)
                #expect(try file.status().blocks >= 2048)
                #expect(file.write([UInt8](repeating: 7, count: 8192), at: 0) == .ok)
                demand([.ok, .notSupported].contains(file.fallocate(Int(CS_PUNCH), 0, 4096)))
                #expect(file.truncate(100 << 30) == .ok)
                #expect(try file.status().size == 100 << 30)
                #expect(file.truncate(10) == .ok)
                #expect(file.close() == .ok)
            }
        }

        @Test("copy_file_range inside a type, from outside, and O_DIRECT", arguments: [true, false])
        func copying(passthrough: Bool) throws {
            try inType(passthrough: passthrough) { mounted, root in
                var random = SeededRandom.forTest("copying")
                let bytes = random.bytes(300_000)
                try Sys.write("\(root)/a", bytes)
                try Sys.write("\(mounted.base)/outside", bytes)
                for source in ["\(root)/a", "\(mounted.base)/outside"] {
                    let from = try Sys.open(source, O_RDONLY)
                    let to = try Sys.open("\(root)/copy", O_RDWR | O_CREAT | O_TRUNC)
                    let copied = cs_copy_file_range(from.number, 0, to.number, 0, bytes.count)
                    #expect(
                        copied == bytes.count || Outcome(copied) == .crossDevice || Outcome(copied) == .notSupported)
                    if copied == bytes.count { demand(try to.readAll() == bytes) }
                }
                try sh(
                    "dd if=a of=direct bs=64k oflag=direct iflag=direct status=none || dd if=a of=direct bs=64k status=none; cmp a direct",
                    in: root)
                try sh("cp --reflink=auto a b; cmp a b; cp --sparse=always a c; cmp a c", in: root)
            }
        }

        @Test("flock, POSIX and open-file-description locks exclude")
        func locks() throws {
            try inType { _, root in
                try Sys.write("\(root)/l", "x")
                let (a, b) = (try Sys.open("\(root)/l", O_RDWR), try Sys.open("\(root)/l", O_RDWR))
                #expect(Outcome(cs_flock(a.number, LOCK_EX | LOCK_NB)) == .ok)
                #expect(Outcome(cs_flock(b.number, LOCK_EX | LOCK_NB)) == Outcome(errno: EWOULDBLOCK))
                #expect(Outcome(cs_flock(a.number, LOCK_UN)) == .ok)
                #expect(Outcome(cs_flock(b.number, LOCK_SH | LOCK_NB)) == .ok)
                #expect(Outcome(cs_record_lock(a.number, 1, 0, 10, 1)) == .ok)
                #expect(Outcome(cs_record_lock(b.number, 1, 5, 10, 1)) == Outcome(errno: EAGAIN))
                #expect(cs_record_lock_test(b.number, 1, 5, 10, 1) == 1)
                #expect(Outcome(cs_record_lock(b.number, 1, 10, 10, 1)) == .ok)
                #expect(a.close() == .ok)
                #expect(Outcome(cs_record_lock(b.number, 1, 0, 10, 1)) == .ok)
                #expect(Outcome(cs_record_lock(b.number, 1, 100, 1, 0)) == .ok)
                let other = try sh("flock -n l -c 'echo no' || echo held; flock -u 9 9<l", in: root)
                #expect(other.lines.first == "held")
            }
        }

        @Test("Shared mappings read and write what descriptors see", arguments: [true, false])
        func mapping(passthrough: Bool) throws {
            try inType(passthrough: passthrough) { mounted, root in
                let file = try Sys.open("\(root)/m", O_RDWR | O_CREAT)
                #expect(file.truncate(100_000) == .ok)
                #expect(file.store(0x41, count: 5000, at: 4090) == .ok)
                demand(try file.read(5002, at: 4089) == [0] + [UInt8](repeating: 0x41, count: 5000) + [0])
                #expect(file.sync() == .ok)
                #expect(file.close() == .ok)
                demand(try Sys.read("\(mounted.backing("data"))/m")[4090] == 0x41)
            }
        }

        @Test("A directory of 10,000 entries lists each once and seeks back")
        func largeDirectory() throws {
            try inType(place: .memory) { mounted, root in
                Sys.mkdir("\(mounted.backing("data"))/many")
                for index in 0..<10_000 { try Sys.write("\(mounted.backing("data"))/many/entry-\(index)", []) }
                #expect(cs_count_entries("\(root)/many", 0) == 10_002)
                #expect(cs_count_entries("\(root)/many", 1) == 10_002)
                #expect(try Set(Sys.list("\(root)/many")).count == 10_000)
                #expect(try sh("ls -l many | wc -l", in: root).output == "10001\n")
                #expect(try sh("find many -type f -size 0 | wc -l", in: root).output == "10000\n")
            }
        }

        @Test("renameat2: NOREPLACE, EXCHANGE and WHITEOUT")
        func renameFlags() throws {
            try inType { _, root in
                try Sys.write("\(root)/a", "a")
                try Sys.write("\(root)/b", "b")
                #expect(Sys.rename("\(root)/a", "\(root)/b", flags: Int(CS_NOREPLACE)) == .exists)
                #expect(Sys.rename("\(root)/a", "\(root)/c", flags: Int(CS_NOREPLACE)) == .ok)
                #expect(Sys.rename("\(root)/c", "\(root)/b", flags: Int(CS_EXCHANGE)) == .ok)
                #expect(try Sys.text("\(root)/c") == "b")
                #expect(Sys.rename("\(root)/c", "\(root)/missing", flags: Int(CS_EXCHANGE)) == .noEntry)
                #expect(Sys.rename("\(root)/c", "\(root)/d", flags: Int(CS_WHITEOUT)) == .invalid)
                Sys.mkdir("\(root)/dir")
                #expect(Sys.rename("\(root)/dir", "\(root)/dir/below") == .invalid)
                #expect(Sys.rename("\(root)/c", "\(root)/dir") == Outcome(errno: EISDIR))
            }
        }

        @Test("Inode numbers are stable over a remount and over renames")
        func inodes() throws {
            let mounted = try Mounted(MountSetup())
            try mounted.start()
            let root = mounted.alias()
            for name in ["a", "b", "c"] { try Sys.write("\(root)/\(name)", name) }
            let before = try ["a", "b", "c"].map { try Sys.status("\(root)/\($0)").inode }
            #expect(Set(before).count == 3)
            try mounted.stop()
            try mounted.start()
            #expect(try ["a", "b", "c"].map { try Sys.status("\(root)/\($0)").inode } == before)
            #expect(Sys.rename("\(root)/a", "\(root)/z") == .ok)
            #expect(try Sys.status("\(root)/z").inode == before[0])
            try mounted.stop()
        }

        @Test("A file changed behind the mount is seen within a second")
        func coherence() throws {
            try inType { mounted, root in
                try Sys.write("\(root)/f", "one")
                #expect(try Sys.text("\(root)/f") == "one")
                try Sys.write("\(mounted.backing("data"))/f", "longer text")
                #expect(try waitUntil(seconds: 5) { try Sys.text("\(root)/f") == "longer text" })
                try Sys.write("\(mounted.backing("data"))/new", "n")
                #expect(waitUntil(seconds: 5) { Sys.exists("\(root)/new") })
            }
        }

        @Test("Permissions are the caller's, not the daemon's", .root)
        func permissions() throws {
            try withMount(MountSetup(options: ["allow_other"])) { mounted in
                let root = mounted.alias()
                try Sys.write("\(root)/private", "x")
                _ = Sys.chmod("\(root)/private", 0o600)
                #expect(try run(["cat", "\(root)/private"], account: .nobody).code != 0)
                #expect(try run(["touch", "\(root)/new"], account: .nobody).code != 0)
                _ = Sys.chmod(mounted.backing("data"), 0o1777)
                try sh("umask 027; echo own > '\(root)/new'; mkdir '\(root)/nd'", account: .nobody)
                let status = try Sys.status("\(mounted.backing("data"))/new")
                #expect(status.uid == 65534 && status.mode & 0o777 == 0o640)
            }
        }

        @Test("An ordinary user mounts, reads and writes", .root)
        func ordinaryUser() throws {
            try withMount(MountSetup(account: .nobody)) { mounted in
                let finished = try sh(
                    "echo hello > f; cat f; cp f g; rm g 2>/dev/null && echo removed || echo refused; ls", in: nil,
                    environment: ["OLDPWD": "/"], account: .nobody, root: mounted.alias())
                #expect(finished.lines == ["hello", "refused", "f", "g"], "\(finished)")
                #expect(Sys.stating("\(mounted.alias())/f") == .accessDenied, "allow_other is off")
            }
        }

        @Test("statfs tells the backing file system's numbers")
        func space() throws {
            try inType { mounted, root in
                var (total, available, realTotal, realAvailable) = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))
                #expect(cs_statfs(root, &total, &available) == 0)
                #expect(cs_statfs(mounted.backing("data"), &realTotal, &realAvailable) == 0)
                #expect(total == realTotal)
                #expect(available <= realAvailable + (1 << 30) && available + (1 << 30) >= realAvailable)
            }
        }

        @Test("Unmapped types are listed, empty, and refuse entries; rmdir on aliases is refused")
        func aliases() throws {
            try withMount { mounted in
                let types = "\(mounted.mountpoint)/types"
                #expect(Sys.mkdir("\(types)/clinic") == .ok)
                #expect(Sys.mkdir("\(types)/clinic/images") == .ok)
                #expect(try Sys.list("\(types)/clinic") == ["images"])
                #expect(try Sys.list("\(types)/clinic/images") == [])
                #expect(Sys.opening("\(types)/clinic/images/f", O_WRONLY | O_CREAT) == .noDevice)
                #expect(Sys.mkdir("\(types)/clinic/images/d") == .noDevice)
                #expect(Sys.rmdir("\(types)/clinic/images") == .notPermitted)
                #expect(Sys.rmdir("\(types)/clinic") == .notPermitted)
                #expect(try Sys.attribute("\(types)/clinic/images", "user.fxmount.status") == "UNMAPPED")
                let directory = try Scratch.directory("late")
                defer { Scratch.remove(directory) }
                try Sys.write("\(directory)/there", "already")
                #expect(Sys.setAttribute("\(types)/clinic/images", "user.fxmount.path", directory) == .ok)
                #expect(waitUntil(seconds: 2) { Sys.exists("\(types)/clinic/images/there") })
                try mounted.fxmount(
                    Contract.createType("lab", "later", path: mounted.backing("data"), policy: .keepVersions)
                )
                .expect(ExitCode.ok)
                #expect(Sys.exists(mounted.alias("later")), "seen at once")
                try mounted.fxmount(
                    Contract.createType("lab", "listed", path: mounted.backing("data"), policy: .keepVersions)
                )
                .expect(ExitCode.ok)
                #expect(try Sys.list("\(types)/lab").contains("listed"), "listed at once")
                #expect(Sys.mkdir("\(types)/clinic/.hidden") != .ok)
            }
        }
    }
}

@discardableResult
private func sh(_ script: String, in directory: String?, environment: [String: String], account: Account, root: String)
    throws -> Finished
{
    try sh("cd '\(root)'; \(script)", in: directory, environment: environment, account: account)
}
