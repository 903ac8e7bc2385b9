import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// Settings that are seen from outside only.
    @Suite("Settings") struct SettingsTests {
        @Test("mount.attribute_timeout is how long the kernel believes what it was told", arguments: ["0s", "1h"])
        func attributeTimeout(time: String) throws {
            let setup = MountSetup(environment: ["FXMOUNT_ATTRIBUTE_TIMEOUT": time])
            try withMount(setup) { mounted in
                try Sys.write("\(mounted.backing("data"))/f", "bytes")
                #expect(Sys.chmod("\(mounted.backing("data"))/f", 0o600) == .ok)
                let file = "\(mounted.alias())/f"
                #expect(try sh("stat -c %a '\(file)'").output == "600\n")
                #expect(Sys.chmod("\(mounted.backing("data"))/f", 0o640) == .ok)
                #expect(try sh("stat -c %a '\(file)'").output == (time == "0s" ? "640\n" : "600\n"))
                // A change through the mount is seen at once, whatever was believed.
                #expect(Sys.chmod(file, 0o644) == .ok)
                #expect(try sh("stat -c %a '\(file)'").output == "644\n")
            }
        }
    }
}
