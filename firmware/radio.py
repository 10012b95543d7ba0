"""The Wi-Fi between camera and dock: wpa_supplicant's file in a camera's folder, hostapd's in a dock's.

Pure. Guarantees: neither file holds a secret: both name the certificates and keys that stand beside them for TLS, so
that who may come onto the dock's network is who may speak to its broker, and nothing has to be made, handed out or
withdrawn besides. A camera joins no access point but that of a dock of its agency; an access point takes in no device
without a certificate of the agency for a client of TLS. Paths are relative to the folder, in which both are started.
Source: wpa_supplicant.conf(5), and the example configurations of wpa_supplicant and hostapd 2.10; RFC 5216 (EAP-TLS).
"""

from __future__ import annotations

COUNTRY = "FR"
CHANNEL = 6  # 2.4 GHz: the radio of a Zero 2 W has nothing else
CHANNELS_MHZ = {1: 2412, 6: 2437, 11: 2462}  # those that do not overlap: three are looked at faster than forty
MAX_STATIONS = 64

SUPPLICANT_CONF, HOSTAPD_CONF, HOSTAPD_USERS = "wpa_supplicant.conf", "hostapd.conf", "hostapd.eap_user"


def supplicant_conf(agency: str, camera: str) -> bytes:
    """A camera's. Every dock of the agency has the agency's id as the name of its network.

    Of the access point's certificate its chain is checked, and that it is for a server of TLS, which of the agency's
    only those of docks are; but no dates: a camera whose clock is wrong gets its time from a dock. No list of docks, so
    that a dock that is added later needs nothing of the cameras that there are: which docks the policy has is checked
    where the session begins.
    """
    channels = " ".join(map(str, CHANNELS_MHZ.values()))
    return (
        "# Written by temoin-fleet init. Start it in this folder: wpa_supplicant -c wpa_supplicant.conf -i wlan0\n"
        "ctrl_interface=DIR=/run/wpa_supplicant GROUP=temoin\n"
        "update_config=0\n"
        f"country={COUNTRY}\n"
        "p2p_disabled=1\n"
        "\n# The agent enables it when the camera is in a dock.\n"
        "network={\n"
        "    disabled=1\n"
        f'    ssid="{agency}"\n'
        f"    scan_freq={channels}\n"
        f"    freq_list={channels}\n"
        "    key_mgmt=WPA-EAP-SHA256 WPA-EAP\n"
        "    proto=RSN\n"
        "    pairwise=CCMP\n"
        "    group=CCMP\n"
        "    ieee80211w=1\n"
        "    eap=TLS\n"
        f'    identity="camera-tls:{camera}"\n'
        '    ca_cert="agency.pem"\n'
        '    client_cert="camera-tls.pem"\n'
        '    private_key="camera-tls.key"\n'
        '    phase1="tls_disable_time_checks=1"\n'
        "}\n"
    ).encode()


def hostapd_conf(agency: str) -> bytes:
    """A dock's: hostapd itself is the EAP server, so that there is no RADIUS."""
    return (
        "# Written by temoin-fleet init. Start it in this folder: hostapd hostapd.conf\n"
        "interface=wlan0\n"
        "driver=nl80211\n"
        f"ssid={agency}\n"
        f"country_code={COUNTRY}\n"
        "ieee80211d=1\n"
        "hw_mode=g\n"
        f"channel={CHANNEL}\n"
        "ieee80211n=1\n"
        "wmm_enabled=1\n"
        f"max_num_sta={MAX_STATIONS}\n"
        "\n# Cameras reach the dock, and not each other.\n"
        "ap_isolate=1\n"
        "\nauth_algs=1\n"
        "wpa=2\n"
        "wpa_key_mgmt=WPA-EAP-SHA256 WPA-EAP\n"
        "rsn_pairwise=CCMP\n"
        "ieee80211w=1\n"
        "\n# Who may come in: holders of a certificate of the agency for TLS.\n"
        "ieee8021x=1\n"
        "eap_server=1\n"
        f"eap_user_file={HOSTAPD_USERS}\n"
        "ca_cert=agency.pem\n"
        "server_cert=dock-tls.pem\n"
        "private_key=dock-tls.key\n"
    ).encode()


def hostapd_users() -> bytes:
    """By which method whom: nobody by a password."""
    return b'# Written by temoin-fleet init.\n"camera-tls:"* TLS\n'
