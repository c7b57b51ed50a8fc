import html
import re
from pathlib import Path

from browser import explorer_data


def test_one_page(run_tool, refused):
    run_tool('demo.py')
    page = Path('demo.html').read_text(encoding='utf-8')
    assert page.count(' src="data:image/png;base64,') == 3
    explorer = html.unescape(re.search(r'srcdoc="([^"]*)"', page)[1])
    data = explorer_data(explorer)
    assert len(data['pictures']) == 8 and data['accuracy'] is not None
    assert 'demo.html exists already' in refused('demo.py')
