import CSyscalls
import FXSystem
import Glibc
import ServiceFixtures
import Testing

extension MountTests {
    /// `fxmount plan` says what a copy then does.
    @Suite("Network plans") struct NetworkPlanTests {
        @Test(
            "What is planned is what a copy brings, and what is refused is what fails", arguments: NetworkKind.allCases)
        func planned(kind: NetworkKind) throws {
            var setup = NetworkSetup(kind)
            setup.largestFile = 300 << 10
            try withNetworkMount(setup, ending: ExitCode.workLeft) { network in
                let mounted = network.mounted
                let source = "\(mounted.base)/src"
                Sys.mkdir(source)
                try Sys.write("\(source)/there.bin", "already")
                try Sys.write("\(source)/new.bin", "not yet")
                try Sys.write("\(source)/draft.bin.part", "stays")
                Sys.symlink("new.bin", "\(source)/link")
                Sys.mkdir("\(source)/d")
                try Sys.write("\(source)/d/below.bin", "in a directory")
                if !kind.tellsLargestFile {
                    try Sys.write("\(source)/back\\slash", "no name for the service")
                } else {
                    try Sys.write("\(source)/large.bin", [UInt8](repeating: 1, count: 400_000))
                }
                let session = try network.makeSession()
                try sh("cp -p src/there.bin \"$TO\"/", in: mounted.base, environment: ["TO": session])
                let before = try network.files(in: "s")
                let planned = try mounted.fxmount(["plan", "\(source)/", session, "--json"])
                #expect(planned.code == 7, "\(planned)")
                #expect(try network.files(in: "s") == before, "a plan changes nothing")
                let plan = try #require(JSONValue(parsing: planned.output))
                let entries = try #require(plan["entries"]?.elements)
                let actions = Dictionary(
                    uniqueKeysWithValues: entries.map { ($0["path"]?.string ?? "", $0["action"]?.string ?? "") })
                #expect(
                    actions["there.bin"] == "present" && actions["new.bin"] == "send" && actions["link"] == "refused")
                #expect(actions["draft.bin.part"] == "stays")
                #expect(actions["d/below.bin"] == (network.place.hasDirectories ? "send" : "refused"))
                #expect(actions[kind.tellsLargestFile ? "large.bin" : "back\\slash"] == "refused", "\(actions)")
                let person = try mounted.fxmount(["plan", "\(source)/", session])
                #expect(person.code == 7 && person.output.contains("refused  link: a session takes no symbolic links"))

                // Each for itself: the first error of a write ends rsync.
                let copied = try run(
                    ["bash", "-c", "ok=0; for one in src/*; do cp -rp \"$one\" \"$TO\"/ || ok=1; done; exit $ok"],
                    environment: ["TO": session], in: mounted.base)
                #expect(copied.code == 1, "\(copied)")
                let sent = Set(actions.filter { $0.value == "send" || $0.value == "present" }.keys)
                #expect(Set(try network.files(in: "s").keys) == sent)
                // What fits is fine, also into a session that is not there yet.
                let fine = try mounted.fxmount(["plan", "\(source)/new.bin", network.path(of: "tomorrow"), "--json"])
                #expect(fine.code == 0, "\(fine)")
                #expect(JSONValue(parsing: fine.output)?["send"]?["files"]?.integer == 1)
                let nowhere = try mounted.fxmount(["plan", source, mounted.base])
                #expect(nowhere.code == ExitCode.failed, "\(nowhere)")
            }
        }
    }
}
