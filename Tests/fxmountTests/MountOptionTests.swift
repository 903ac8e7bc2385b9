import Testing

@testable import fxmount

@Suite("Mount options")
struct MountOptionTests {
    @Test("Options for others are ignored")
    func ignored() throws {
        let options = try KernelOptions([
            "auto,noauto,user,users,_netdev,nofail,defaults,x-systemd.automount,comment=hi,relatime"
        ])
        #expect(options == KernelOptions())
    }

    @Test("Our own options are understood")
    func own() throws {
        let options = try KernelOptions([
            "ro,allow_other,nosuid,nodev", "app=clinic,state_dir=/s,config=/c,workers=4,passthrough=no,fsname=x",
        ])
        #expect(options.isReadOnly)
        #expect(options.allowsOther == true)
        #expect(options.passedOn == ["nosuid", "nodev", "fsname=x"])
        #expect(options.application == "clinic")
        #expect(options.stateDirectory == "/s")
        #expect(options.configuration == "/c")
        #expect(options.settings == ["mount.workers": "4", "mount.passthrough": "no"])
    }

    @Test("The later one of two wins, and - is _")
    func later() throws {
        #expect(try KernelOptions(["ro,rw"]).isReadOnly == false)
        #expect(try KernelOptions(["allow-other"]).allowsOther == true)
    }

    @Test("A comma can be protected by a backslash or by quotes")
    func commas() throws {
        #expect(try KernelOptions([#"fsname=a\,b,ro"#]).passedOn == ["fsname=a,b"])
        #expect(try KernelOptions([#"fsname="a,b",ro"#]).isReadOnly)
        #expect(try KernelOptions([#"state_dir=/a\b"#]).stateDirectory == #"/a\b"#)
    }

    @Test("An unknown option is wrong usage, with a suggestion")
    func unknown() {
        let failure = #expect(throws: CommandFailure.self) { try KernelOptions(["nosiud"]) }
        #expect(failure?.status == .usage)
        #expect(failure?.hint == "did you mean \"nosuid\"?")
        #expect(throws: CommandFailure.self) { try KernelOptions(["fsname"]) }
    }

    @Test("mount.fxmount and umount.fxmount speak to mount(8)")
    func helper() throws {
        #expect(
            try MountHelper.mountArguments(["fxmount", "/mnt", "-sv", "-o", "rw,_netdev", "-t", "fxmount"])
                == ["mount", "/mnt", "--daemon", "-o", "rw,_netdev", "--verbose"])
        #expect(
            try MountHelper.mountArguments(["clinic", "/mnt"]) == ["mount", "/mnt", "--daemon", "--app", "clinic"])
        #expect(try MountHelper.unmountArguments(["/mnt", "-l"]) == ["unmount", "/mnt", "--lazy"])
        #expect(throws: CommandFailure.self) { try MountHelper.mountArguments(["/mnt"]) }
        #expect(MountHelper.exitCode(.usage) == 1)
        #expect(MountHelper.exitCode(.locked) == 32)
        #expect(MountHelper.exitCode(.success) == 0)
    }
}

@Suite("The mount table")
struct MountTableTests {
    private static let text = """
        22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
        40 22 0:50 / /srv/a\\040b\\134c rw,nosuid - fuse.fxmount fxmount rw,user_id=0
        41 40 0:51 / /srv/a\\040b\\134c/sessions/x rw master:3 propagate_from:2 - tmpfs tmpfs rw
        not a line
        """

    @Test("Escapes are decoded, optional fields are skipped")
    func parsing() throws {
        let table = MountTable(text: MountTableTests.text)
        #expect(table.entries.count == 3)
        let ours = try #require(table.ours.first)
        #expect(ours.path == #"/srv/a b\c"#)
        #expect(ours.source == "fxmount")
        #expect(ours.connection == 50)
        #expect(ours.options == ["rw", "nosuid"])
        #expect(table.entries[2].type == "tmpfs")
    }

    @Test("A path belongs to the innermost mount")
    func holding() {
        let table = MountTable(text: MountTableTests.text)
        #expect(table.ourMount(holding: #"/srv/a b\c/types/x"#)?.id == 40)
        #expect(table.ourMount(holding: #"/srv/a b\c"#)?.id == 40)
        #expect(table.ourMount(holding: #"/srv/a b\cd"#) == nil)
        #expect(table.ourMount(holding: #"/srv/a b\c/sessions/x/f"#) == nil)
        #expect(table.ourMount(holding: "/etc") == nil)
    }
}
