import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// tus through the built program: the kind is configured, mounted and used with everyday tools.
    @Suite("tus") struct TusMountTests {
        @Test("cp, rsync, diff and session complete on SeaweedFS by tus; the second rsync sends nothing")
        func seaweedFS() throws {
            let weed = try SeaweedFS.shared
            let place = "tus-\(UInt64.random(in: 0...(.max)))"
            let filer = "http://127.0.0.1:\(weed.filer.port)"
            var setup = MountSetup(types: [])
            setup.configuration = """
                [remotes.weed]
                kind = "tus"
                url = "\(filer)/.tus/\(place)"
                files_url = "\(filer)/\(place)"

                [remotes.blind]
                kind = "tus"
                url = "\(filer)/.tus/\(place)-blind"
                """
            try withMount(setup) { mounted in
                let tested = try mounted.fxmount(["remote", "test", "weed"])
                #expect(tested.code == ExitCode.ok && tested.output.contains("tus 1.0.0"), "\(tested)")
                let session = "\(mounted.mountpoint)/sessions/weed/s"
                #expect(Sys.mkdir(session) == .ok)
                try sh(
                    """
                    mkdir -p src/d; echo one > 'src/a b é'; : > src/empty; head -c 20000000 /dev/urandom > src/d/large
                    cp -r src "$TO/copied" && rsync -a src/ "$TO/synced/"
                    test -z "$(rsync -ai src/ "$TO/synced/")"
                    diff -r src "$TO/copied" && diff -r src "$TO/synced"
                    """, in: mounted.base, environment: ["TO": session], seconds: 60)
                #expect(try weed.files(below: "\(place)/s/synced").keys.sorted() == ["a b é", "empty"])
                #expect(
                    try Sys.attribute("\(session)/copied/empty", "user.fxmount.remote_id").hasPrefix("/.tus/.uploads/"))
                try mounted.fxmount(["session", "complete", session]).expect(ExitCode.ok)
                #expect(Sys.opening("\(session)/late", O_WRONLY | O_CREAT) == .readOnly)
                // Without files_url nothing can be read back, and that is what is said.
                let blind = "\(mounted.mountpoint)/sessions/blind/s"
                #expect(Sys.mkdir(blind) == .ok)
                try Sys.write("\(blind)/f", "content")
                let read = try run(["cat", "\(blind)/f"])
                #expect(read.code == 1 && read.errors.contains("Operation not supported"), "\(read)")
            }
        }
    }
}
