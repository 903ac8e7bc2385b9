import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// DESIGN 3.1, drafts: what lets ordinary tools work where nothing can be deleted.
    @Suite("Drafts") struct DraftTests {
        static let temporaryNames = [
            "f.part", "f.tmp", "index.lock", "f~", ".f.swp", ".f.swx", "4913", ".goutputstream-ABC123", ".~lock.f.odt#",
            "tmp_obj_x1",
            "db-journal", "db-wal", "db-shm",
        ]

        @Test(
            "A closed temporary-looking file stays removable by its creator",
            arguments: [Policy.keepVersions, .writeOnce, .appendOnly])
        func temporary(policy: Policy) throws {
            try withMount(MountSetup(types: [TypeSpecification(name: "data", policy: policy)])) { mounted in
                for name in Self.temporaryNames {
                    let path = "\(mounted.alias())/\(name)"
                    try Sys.write(path, "draft")
                    #expect(Sys.unlink(path) == .ok, "\(name)")
                    #expect(!Sys.exists(path), "\(name)")
                }
                #expect(try Kept.debris(mounted.backing("data")) == [])
            }
        }

        @Test("Renaming a draft to an ordinary name seals it")
        func sealing() throws {
            try withMount { mounted in
                let root = mounted.alias()
                try Sys.write("\(root)/f.part", "whole")
                #expect(Sys.rename("\(root)/f.part", "\(root)/f") == .ok)
                #expect(Sys.unlink("\(root)/f") == .notPermitted)
                #expect(try Sys.text("\(root)/f") == "whole")
            }
        }

        @Test("An unlinked draft is readable until its last descriptor closes")
        func unlinkedOpen() throws {
            try withMount { mounted in
                let path = "\(mounted.alias())/scratch.tmp"
                let file = try Sys.open(path, O_RDWR | O_CREAT)
                #expect(file.write("still here") == .ok)
                #expect(Sys.unlink(path) == .ok)
                #expect(file.write(Array("S".utf8), at: 0) == .ok)
                demand(try file.read(64, at: 0) == Array("Still here".utf8))
                #expect(try file.status().links == 0)
                #expect(file.truncate(5) == .ok)
                #expect(file.close() == .ok)
                #expect(try Sys.list(mounted.backing("data")).filter { $0 != ".fxversions" } == [])
            }
        }

        @Test("A second writer keeps a draft open; the last close seals")
        func lastWriterSeals() throws {
            try withMount { mounted in
                let path = "\(mounted.alias())/shared"
                let first = try Sys.open(path, O_RDWR | O_CREAT)
                let second = try Sys.open(path, O_RDWR)
                #expect(first.write("11111") == .ok)
                #expect(first.close() == .ok)
                #expect(second.write("22222") == .ok)
                #expect(second.truncate(3) == .ok)
                #expect(second.close() == .ok)
                #expect(try Sys.text(path) == "222")
                #expect(Sys.unlink(path) == .notPermitted)
            }
        }

        @Test("Somebody else's draft is not theirs to remove", .root)
        func othersDraft() throws {
            try withMount(MountSetup(options: ["allow_other"])) { mounted in
                _ = Sys.chmod(mounted.backing("data"), 0o777)
                try sh("echo mine > '\(mounted.alias())/x.part'", account: .nobody)
                #expect(Sys.unlink("\(mounted.alias())/x.part") == .notPermitted)
                try sh("rm '\(mounted.alias())/x.part'", account: .nobody)
            }
        }

        @Test("After a crash everything on disk counts as sealed")
        func crashSeals() throws {
            let mounted = try Mounted(MountSetup())
            try mounted.start()
            let path = "\(mounted.alias())/left.part"
            try Sys.write(path, "left over")
            mounted.crash()
            try mounted.start()
            #expect(Sys.unlink(path) == .notPermitted)
            #expect(try Sys.text(path) == "left over")
            try mounted.stop()
        }

        @Test("An rsync-like name made by an editor is no draft")
        func dotNamesAreOrdinary() throws {
            try withMount { mounted in
                let path = "\(mounted.alias())/.app.config"
                try Sys.write(path, "settings")
                #expect(Sys.unlink(path) == .notPermitted)
            }
        }

        @Test("A versions directory is neither listed nor reachable nor creatable by name")
        func versionsHidden() throws {
            try withMount { mounted in
                let root = mounted.alias()
                try Sys.write("\(root)/f", "1")
                try Sys.write("\(root)/f", "2")
                #expect(Sys.exists("\(mounted.backing("data"))/.fxversions"))
                demand(try !Sys.list(root).contains(".fxversions"))
                #expect(!Sys.stating("\(root)/.fxversions").succeeded)
                #expect(!Sys.mkdir("\(root)/.fxversions").succeeded)
                #expect(!Sys.rename("\(root)/f", "\(root)/.fxversions").succeeded)
                #expect(!Sys.opening("\(root)/.fxversions/f", O_RDONLY).succeeded)
            }
        }

        @Test("versions list, show and restore bring old content back and lose nothing")
        func restore() throws {
            try withMount { mounted in
                let path = "\(mounted.alias())/f"
                for text in ["first", "second", "third"] { try Sys.write(path, text) }
                let listed = try mounted.fxmount(Contract.listVersions(path)).expect(ExitCode.ok)
                let versions = try Contract.versions(listed.output)
                #expect(versions.count == 2, "\(listed)")
                let contents = try versions.map {
                    try mounted.fxmount(Contract.showVersion(path, $0)).expect(ExitCode.ok).output
                }
                #expect(Set(contents) == ["first", "second"])
                guard let index = contents.firstIndex(of: "first") else { return }
                try mounted.fxmount(Contract.restoreVersion(path, versions[index])).expect(ExitCode.ok)
                #expect(try waitUntil(seconds: 5) { try Sys.text(path) == "first" })
                let after = try Contract.versions(
                    mounted.fxmount(Contract.listVersions(path)).expect(ExitCode.ok).output)
                let all = try after.map { try mounted.fxmount(Contract.showVersion(path, $0)).output }
                demand(Set(all).isSuperset(of: ["second", "third"]))
            }
        }
    }
}
